import { afterEach, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { load } from 'js-yaml';
import { SETTINGS } from '../../../src/config/settings.js';
import { run } from '../../support/built.js';
import { canConfine, confined, USER } from '../../support/confined.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { builtServer } from '../../support/server.js';
import { describeWhere, requireProgram } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer } from '../../support/tokens.js';

const FOLDER = 'docs/operations';
const UNIT = readFileSync(join(FOLDER, 'pigeonhole.service'), 'utf8');
const DOCKERFILE = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
const COMPOSE = load(readFileSync(join(FOLDER, 'compose.yaml'), 'utf8')) as Compose;

interface Compose {
  readonly services: {
    readonly pigeonhole: { readonly environment: Record<string, string>; readonly stop_grace_period: string };
  };
}

const NAMES = new Set<string>(Object.values(SETTINGS).map(({ name }) => name));
/** What the end takes at most, beside SHUTDOWN_DELAY. */
const END_S = 10;

/** The values of a directive of the unit. */
const directive = (name: string) =>
  [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value!);
const instruction = (name: string) =>
  [...DOCKERFILE.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest]) => rest!);
const pairs = (texts: readonly string[]) =>
  Object.fromEntries(texts.map((text) => text.split(/=(.*)/s).slice(0, 2))) as Record<string, string>;

const unitSettings = pairs(directive('Environment'));
const { NODE_ENV, ...imageSettings } = pairs(instruction('ENV').flatMap((line) => line.split(' ')));
const { environment, stop_grace_period: grace } = COMPOSE.services.pigeonhole;

let server: ChildProcess | undefined;
afterEach(() => void server?.kill('SIGKILL'));

/** A file that only the server can read, as systemd hands over credentials. */
function tokenFile(folder: string): string {
  const file = join(folder, 'admin-token');
  writeFileSync(file, `${ADMIN}\n`, { mode: 0o600 });
  for (const path of [folder, file]) chownSync(path, USER, USER);
  return file;
}

/** Runs the server with `settings` where it may write to one folder only; writes, and ends it with SIGTERM. */
async function servesAndEnds(
  command: readonly string[],
  settings: Record<string, string>,
  cwd: string,
  check: (port: number) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const writable = temporaryFolder();
  const filled = Object.entries(settings).map(([name, value]) => [name, value.replace('DATA', writable)]);
  const env = Object.fromEntries(filled) as Record<string, string>;
  server = confined(command, {
    env: { PATH: process.env['PATH'] ?? '', ...env, PORT: '0' },
    cwd,
    writable,
  });
  let said = '';
  for (const output of [server.stdout!, server.stderr!])
    output.on('data', (text: Buffer) => (said += text.toString()));
  await eventually(() => said.includes('Listening on') || server!.exitCode !== null, 'the start');
  const port = Number(/Listening on http:[^"\s]*:(\d+)/.exec(said)?.[1]);
  expect({ said, isListening: port > 0 }).toEqual({ said, isListening: true });
  expect(readFileSync(`/proc/${server.pid}/status`, 'utf8')).toMatch(new RegExp(`^Uid:\\s+${USER}\\s`, 'm'));
  const put = await ask(port, '/kv/a', { method: 'PUT', body: '1', headers: bearer(ADMIN), agent: false });
  expect(put.status).toBe(201);
  expect((await ask(port, '/kv/a', { agent: false })).status).toBe(401);
  await check(port);
  server.kill('SIGTERM');
  expect(await once(server, 'exit')).toEqual([0, null]);
  expect(existsSync(join(writable, 'data.mdb')) || existsSync(join(writable, 'data', 'data.mdb'))).toBe(true);
}

test('name settings that there are, with values that fit', () => {
  for (const given of [unitSettings, imageSettings, environment]) {
    for (const [name, value] of Object.entries(given)) {
      const setting = Object.values(SETTINGS).find((each) => each.name === name);
      expect({ name, value, fits: setting?.parse(value) !== undefined }).toEqual({ name, value, fits: true });
      expect(NAMES).toContain(name);
    }
  }
  expect(NODE_ENV).toBe('production');
});

test('leave the time to end that SHUTDOWN_DELAY and the end itself need', () => {
  const needed = Number.parseInt(unitSettings['SHUTDOWN_DELAY']!) + END_S;
  expect(Number.parseInt(directive('TimeoutStopSec')[0]!)).toBeGreaterThan(needed);
  expect(imageSettings['SHUTDOWN_DELAY']).toBe(unitSettings['SHUTDOWN_DELAY']);
  expect(Number.parseInt(grace)).toBeGreaterThan(needed);
  expect(instruction('STOPSIGNAL')).toEqual(['SIGTERM']);
});

const analyze = requireProgram('systemd-analyze');
analyze.describe('the unit', () => {
  test('is one that systemd takes without a warning', async () => {
    const { status, stdout, stderr } = await run([
      analyze.path,
      'verify',
      join(FOLDER, 'pigeonhole.service'),
    ]);
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
  });

  const strace = requireProgram('strace');
  strace.describe('allows', () => {
    test('every system call and kind of socket that serving, writing and ending makes', async () => {
      const folder = temporaryFolder();
      const trace = join(folder, 'trace');
      const env = { PORT: '0', DATABASE_URL: `lmdb:${folder}/data`, WORKERS: '2' };
      const script = `
        node ${builtServer()} > ${folder}/log & server=$!
        until grep -q 'All 2 workers serve' ${folder}/log; do sleep 0.1; done
        port=$(grep -o 'Listening on http://127.0.0.1:[0-9]*' ${folder}/log | grep -o '[0-9]*$')
        curl -sf -X PUT -d 1 127.0.0.1:$port/kv/a && kill $server && wait $server`;
      const traced = await run([strace.path, '-f', '-qq', '-o', trace, 'sh', '-c', script], env);
      expect(traced).toMatchObject({ status: 0 });
      const { stdout } = await run([analyze.path, 'syscall-filter', '--no-pager']);
      const sets = directive('SystemCallFilter').flatMap((line) => line.split(' '));
      const allowed = new Set(sets.flatMap((set) => [...callsOf(stdout, set)]));
      const text = readFileSync(trace, 'utf8');
      const used = new Set([...text.matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name]) => name!));
      expect([...used].filter((name) => !allowed.has(name))).toEqual([]);
      const families = new Set([...text.matchAll(/socket(?:pair)?\((AF_\w+)/g)].map(([, family]) => family!));
      const [restricted] = directive('RestrictAddressFamilies');
      expect(restricted!.split(' ')).toEqual(expect.arrayContaining([...families]));
    });
  });
});

/** The system calls of a set, and of the sets in it, as \`systemd-analyze syscall-filter\` lists them. */
function callsOf(listing: string, set: string): Set<string> {
  const [, block = ''] = listing.split(new RegExp(`^${set}$`, 'm'));
  const lines = block
    .split(/^@/m)[0]!
    .split('\n')
    .map((line) => line.trim());
  const names = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return new Set(names.flatMap((name) => (name.startsWith('@') ? [...callsOf(listing, name)] : [name])));
}

describeWhere(canConfine(), 'no mounts of its own, or no root')(
  'without rights and on a read-only root',
  () => {
    test("the unit's settings serve, write and end with 0", async () => {
      const credentials = temporaryFolder();
      const settings = {
        ...unitSettings,
        ADMIN_TOKEN_FILE: unitSettings['ADMIN_TOKEN_FILE']!.replace('%d', dirname(tokenFile(credentials))),
        DATABASE_URL: unitSettings['DATABASE_URL']!.replace('%S/pigeonhole', 'DATA'),
      };
      const cli = join(process.cwd(), 'dist', 'cli', 'pigeonhole.js');
      await servesAndEnds([process.execPath, cli], settings, '/');
    });

    test("the image's files, settings and command do the same", async () => {
      const app = process.cwd();
      const copied = [...DOCKERFILE.matchAll(/^COPY --from=build \/build\/(\S+) (\S+)$/gm)].map(
        ([, from]) => from!,
      );
      for (const file of copied) expect(existsSync(join(app, file))).toBe(true);
      const [command] = instruction('CMD').map((text) => JSON.parse(text) as string[]);
      const settings = {
        ...imageSettings,
        ...environment,
        ADMIN_TOKEN_FILE: tokenFile(temporaryFolder()),
        DATABASE_URL: imageSettings['DATABASE_URL']!.replace('/data', 'DATA'),
      };
      const [, check] = /^.* CMD (.*)$/.exec(instruction('HEALTHCHECK')[0]!)!;
      const health = (port: number) =>
        run(
          (JSON.parse(check!) as string[]).flatMap((word) =>
            word === 'pigeonhole'
              ? [process.execPath, join(app, 'dist/cli/pigeonhole.js')]
              : [word.replace(':4000', `:${port}`)],
          ),
        );
      let served = 0;
      await servesAndEnds(
        [process.execPath, ...command!.slice(1)],
        settings as Record<string, string>,
        app,
        async (port) => {
          expect(await health((served = port))).toMatchObject({ status: 0 });
        },
      );
      expect(await health(served)).toMatchObject({ status: 1 });
    });
  },
);

describe('the image', () => {
  test('is built of files that the checkout has, by scripts that it has', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const sources = instruction('COPY').filter((line) => !line.startsWith('--'));
    for (const line of sources)
      for (const file of line.split(' ').slice(0, -1)) expect(existsSync(file)).toBe(true);
    for (const [, script] of DOCKERFILE.matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(script!);
  });
});
