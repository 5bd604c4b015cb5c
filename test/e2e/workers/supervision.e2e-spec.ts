import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { isAlive, manyConnections, startWorkers, workersOf, saidBy, howMany } from '../../support/workers.js';
import { longTest } from '../../support/long-run.js';

const WORKERS = 2;
const FINE = { code: 0, signal: null };

let server: ServerProcess;
afterEach(() => server?.end());

describe('a worker that ends is replaced', () => {
  test.each(['SIGKILL', 'SIGTERM'] as const)('after %s, while the others serve', async (signal) => {
    server = await startWorkers(WORKERS);
    const agents = manyConnections(WORKERS);
    await Promise.all(agents.map((agent) => ask(server.port, setPath('a', '1'), { agent })));
    const [victim] = workersOf(server);
    process.kill(victim!, signal);
    await eventually(() => !isAlive(victim!));
    const answers = await Promise.allSettled(
      agents.map((agent) => ask(server.port, getPath('a'), { agent })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    await eventually(() => workersOf(server).length === WORKERS, 'a new worker');
    await eventually(() => howMany(saidBy(server), `Worker ${victim} has ended`) === 1, 'a line about it');
    expect(await server.end('SIGTERM')).toEqual(FINE);
  });

  test('and the client whose connection was on its way to it is cut off, not left waiting', async () => {
    server = await startWorkers(WORKERS);
    const [victim] = workersOf(server);
    process.kill(victim!, 'SIGSTOP');
    const left: string[] = [];
    const clients = Array.from({ length: 8 }, () =>
      ask(server.port, '/', { agent: false }).then(
        ({ status }) => left.push(String(status)),
        (error: Error) => left.push(error.message),
      ),
    );
    await eventually(() => left.length === clients.length - 1, 'answers of the other');
    process.kill(victim!, 'SIGKILL');
    await Promise.all(clients);
    expect(left.filter((status) => status === '200').length).toBe(clients.length - 1);
    expect(left.at(-1)).toMatch(/ECONNRESET|socket hang up/);
  });

  longTest('on the same port when all of them end, even one that was chosen by the system', async () => {
    server = await startWorkers(WORKERS);
    await ask(server.port, setPath('a', '1'));
    for (let round = 0; round < 2; round++) {
      const victims = workersOf(server);
      for (const pid of victims) process.kill(pid, 'SIGKILL');
      await eventually(() => workersOf(server).filter((pid) => !victims.includes(pid)).length === WORKERS);
      const answer = () => ask(server.port, getPath('a'), { agent: false }).catch(() => undefined);
      await eventually(async () => (await answer())?.text === '{"a":"1"}', 'an answer on the same port');
    }
    expect(howMany(saidBy(server), 'Listening on')).toBe(1);
  });

  longTest('again and again when it is killed before it serves', async () => {
    server = await startWorkers(2);
    const [first, second] = workersOf(server);
    process.kill(second!, 'SIGKILL');
    for (const before of [[first, second]]) {
      await eventually(() => workersOf(server).some((pid) => !before.includes(pid)));
      process.kill(
        workersOf(server).find((pid) => !before.includes(pid))!,
        'SIGKILL',
      );
    }
    await eventually(() => workersOf(server).length === 1);
    await eventually(() => workersOf(server).length === 2, 'a third try');
    expect((await ask(server.port, '/')).status).toBe(200);
    expect(howMany(saidBy(server), 'has ended (SIGKILL)')).toBe(2);
  });

  test('as soon as it can start again; until then the others serve', async () => {
    const folder = join(temporaryFolder(), 'data');
    server = await startWorkers(2, { DATABASE_URL: `lmdb:${folder}` });
    const [, victim] = workersOf(server);
    await breakFolder(folder, async () => {
      process.kill(victim!, 'SIGKILL');
      await eventually(() => howMany(saidBy(server), 'has ended (code 1)') > 0, 'a worker that cannot start');
      const answer = () => ask(server.port, setPath('a', '1'), { agent: false }).catch(() => undefined);
      await eventually(async () => (await answer())?.status === 201);
    });
    await eventually(() => workersOf(server).length === 2 && !workersOf(server).includes(victim!));
    expect((await ask(server.port, getPath('a'))).text).toBe('{"a":"1"}');
    expect(await server.end('SIGTERM')).toEqual(FINE);
  });

  test('unless no other serves and it cannot start: then the server ends with 1', async () => {
    const folder = join(temporaryFolder(), 'data');
    server = await startWorkers(2, { DATABASE_URL: `lmdb:${folder}` });
    await breakFolder(folder, async () => {
      for (const pid of workersOf(server)) process.kill(pid, 'SIGKILL');
      expect(await server.exit).toEqual({ code: 1, signal: null });
    });
    const lines = server.output().stderr.split('\n').slice(0, -1);
    expect(lines.filter((line) => line.startsWith(`pigeonhole: DATABASE_URL: the folder ${folder}`))).toEqual(
      lines,
    );
    expect(lines.length).toBeGreaterThan(0);
  });
});

/** Puts something else in the place of the store while `work` runs. */
async function breakFolder(folder: string, work: () => Promise<void>): Promise<void> {
  renameSync(folder, `${folder}-aside`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'letter.txt'), 'dear');
  await work();
  rmSync(folder, { recursive: true });
  renameSync(`${folder}-aside`, folder);
}
