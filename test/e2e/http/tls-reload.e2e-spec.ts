import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { blocksOf, pageAt } from '../../docs/pages.js';
import { Authority, newCertificate, type Certificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { askOverTls, fingerprintOf, shownBy } from '../../support/https.js';
import { rounds } from '../../support/long-run.js';
import { describeWhere, findProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { howMany, saidBy, startWorkers, workersOf } from '../../support/workers.js';

const isInstalled = findProgram('openssl') !== undefined;
const describeTls = describeWhere(isInstalled, 'openssl is not installed');

/** A server with so many workers has shown the same to each of so many connections in a row. */
const CONNECTIONS = 4;

/** Certificates that are swapped for one another, and where the server looks for them. */
class Swapped {
  readonly pairs = Array.from({ length: 4 }, newCertificate);
  readonly ca = this.pairs.map(({ cert }) => readFileSync(cert));
  private readonly folder = temporaryFolder();
  private swaps = 0;

  constructor() {
    for (const name of ['live', 'archive']) mkdirSync(join(this.folder, name));
    this.link(this.pairs[0]!);
  }

  get settings(): Record<string, string> {
    return { TLS_CERT: join(this.live, 'cert.pem'), TLS_KEY: join(this.live, 'key.pem') };
  }

  get live(): string {
    return join(this.folder, 'live');
  }

  /** Makes links lead to new files, as certbot does. */
  link(pair: Certificate): void {
    this.swaps++;
    for (const name of ['cert', 'key'] as const) {
      const file = `archive/${name}${this.swaps}.pem`;
      copyFileSync(pair[name], join(this.folder, file));
      symlinkSync(join('..', file), join(this.folder, 'new'));
      renameSync(join(this.folder, 'new'), join(this.folder, `live/${name}.pem`));
    }
  }

  /** Writes over the files that the links lead to, one after the other. */
  overwrite(pair: Certificate): void {
    for (const name of ['cert', 'key'] as const)
      copyFileSync(pair[name], join(this.folder, `archive/${name}${this.swaps}.pem`));
  }

  /** Puts another folder in place of that of the links. */
  replaceFolder(pair: Certificate): void {
    renameSync(join(this.folder, 'live'), join(this.folder, 'old'));
    mkdirSync(join(this.folder, 'live'));
    this.link(pair);
    rmSync(join(this.folder, 'old'), { recursive: true });
  }
}

/** Waits until every new connection is shown the certificate in `file`. */
async function isInUse(server: ServerProcess, file: string): Promise<void> {
  const expected = fingerprintOf(file);
  await eventually(async () => {
    for (let i = 0; i < CONNECTIONS; i++) if ((await shownBy(server.port)) !== expected) return false;
    return true;
  }, 'the new certificate');
}

/** Asks again and again, on new connections and on kept ones. `stop` returns how often, and what failed. */
function load(server: ServerProcess, ca: Buffer[]): () => Promise<{ asked: number; failed: string[] }> {
  let isOver = false;
  let asked = 0;
  const failed: string[] = [];
  const kept = new https.Agent({ keepAlive: true });
  const client = async (agent: https.Agent | false) => {
    for (; !isOver; asked++) {
      const answer = askOverTls(server.port, '/kv/a', { ca }, { method: 'PUT', body: 'x', agent });
      await answer.then(
        ({ status }) => status > 201 && failed.push(`answered ${status}`),
        (error: Error) => failed.push(error.message),
      );
    }
  };
  const clients = [kept, kept, false, false].map((agent) => client(agent as https.Agent | false));
  return async () => {
    isOver = true;
    await Promise.all(clients);
    kept.destroy();
    return { asked, failed };
  };
}

describeTls('new certificates', () => {
  const files = new Swapped();
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ...files.settings });
  });
  afterAll(() => server.end());

  test('are taken without a restart and without one failed request, however they come', async () => {
    const stop = load(server, files.ca);
    for (let i = 1; i <= rounds(10, 100); i++) {
      const pair = files.pairs[i % files.pairs.length]!;
      if (i % 5 === 4) files.replaceFolder(pair);
      else if (i % 2 === 0) files.overwrite(pair);
      else files.link(pair);
      await isInUse(server, pair.cert);
    }
    const { asked, failed } = await stop();
    process.stdout.write(`certificates swapped ${rounds(10, 100)} times under ${asked} requests\n`);
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(0);
  });

  test('that do not belong together are not taken, which is said once, and the next good ones are', async () => {
    const [good, bad, next] = files.pairs as [Certificate, Certificate, Certificate];
    files.link(good);
    await isInUse(server, good.cert);
    const refused = () => howMany(saidBy(server), 'The certificate of before stays in use.');
    const before = refused();
    files.link({ cert: bad.cert, key: next.key });
    await eventually(() => refused() > before, 'the line');
    await isInUse(server, good.cert);
    const { TLS_CERT, TLS_KEY } = files.settings;
    expect(saidBy(server).at(-1)).toBe(
      `TLS_KEY ${TLS_KEY} is not the key of the certificate in TLS_CERT ${TLS_CERT}. The certificate of before stays in use.`,
    );
    // The folder changes again, and the files are as wrong as before.
    files.link({ cert: bad.cert, key: next.key });
    files.link(next);
    await isInUse(server, next.cert);
    expect(refused()).toBe(before + 1);
  });

  test('are put in place by the hook for certbot that the docs show', async () => {
    const [, , , renewed] = files.pairs as [Certificate, Certificate, Certificate, Certificate];
    const lineage = temporaryFolder();
    copyFileSync(renewed.cert, join(lineage, 'fullchain.pem'));
    copyFileSync(renewed.key, join(lineage, 'privkey.pem'));
    const hook = blocksOf(pageAt('docs/access.md')).find(({ text }) => text.includes('$RENEWED_LINEAGE'))!;
    const script = hook.text.replaceAll('-o pigeonhole ', '').replaceAll('/etc/pigeonhole', files.live);
    execFileSync('sh', ['-ec', script], { env: { PATH: process.env['PATH'], RENEWED_LINEAGE: lineage } });
    await isInUse(server, renewed.cert);
  });

  test('are looked for on SIGHUP, which does not stop the server', async () => {
    const told = () => howMany(saidBy(server), 'TLS_CERT and TLS_KEY are the same as before');
    expect(told()).toBe(0);
    process.kill(server.pid, 'SIGHUP');
    await eventually(() => told() === 1, 'the line');
  });
});

describeTls('new certificates with workers', () => {
  test('are taken by every worker, those of the authority too, and one of them tells', async () => {
    const files = new Swapped();
    const [authority, next] = [new Authority(), new Authority()];
    const TLS_CLIENT_CA = join(temporaryFolder(), 'ca.pem');
    copyFileSync(authority.cert, TLS_CLIENT_CA);
    const server = await startWorkers(2, { ...files.settings, TLS_CLIENT_CA });
    const [one, other] = [authority.issue('somebody'), next.issue('somebody')];
    const letsIn = async ({ cert, key }: Certificate) => {
      const options = { ca: files.ca, cert: readFileSync(cert), key: readFileSync(key) };
      const ask = () => askOverTls(server.port, '/kv/none', options).catch(() => undefined);
      const answers = [];
      for (let i = 0; i < CONNECTIONS; i++) answers.push((await ask())?.status);
      return answers;
    };
    const all = Array<number>(CONNECTIONS).fill(404);
    const none = Array<undefined>(CONNECTIONS).fill(undefined);

    expect([await letsIn(one), await letsIn(other)]).toEqual([all, none]);
    files.link(files.pairs[1]!);
    await isInUse(server, files.pairs[1]!.cert);
    expect(howMany(saidBy(server), 'A new certificate is in use')).toBe(1);

    copyFileSync(next.cert, TLS_CLIENT_CA);
    await eventually(
      async () => (await letsIn(other)).every((status) => status === 404),
      'the new authority',
    );
    expect(await letsIn(one)).toEqual(none);

    const before = workersOf(server);
    process.kill(server.pid, 'SIGHUP');
    await eventually(() => howMany(saidBy(server), 'are the same as before') === 1, 'the line');
    expect(workersOf(server)).toEqual(before);
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});
