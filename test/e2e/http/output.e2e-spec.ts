import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { ask, getPath, setPath } from '../../support/http.js';
import { builtServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { eventually } from '../../support/eventually.js';
import { workersOf } from '../../support/workers.js';

const REQUESTS = 20;
/** Two starts on a machine that is busy. */
const HANG_MS = 60_000;
jest.setTimeout(2 * HANG_MS);

let server: ChildProcess;
afterEach(() => void server.kill('SIGKILL'));

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Starts a server that logs every request, and waits until it answers. */
async function start(workers: number, stdio: StdioOptions): Promise<number> {
  const port = await freePort();
  const settings = { PORT: String(port), WORKERS: String(workers), LOG_LEVEL: 'debug' };
  server = spawn(process.execPath, [builtServer()], {
    env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: `lmdb:${temporaryFolder()}`, ...settings },
    cwd: temporaryFolder(),
    stdio,
  });
  return port;
}

async function worksAndEnds(port: number): Promise<void> {
  const write = () => ask(port, setPath('a', '1'), { agent: false });
  const isAnswered = () =>
    write().then(
      ({ status }) => status < 300,
      () => false,
    );
  await eventually(isAnswered, 'an answer', HANG_MS);
  for (let i = 0; i < REQUESTS; i++) {
    expect((await ask(port, getPath('a'), { agent: false })).text).toBe('{"a":"1"}');
  }
  expect(server.exitCode).toBe(null);
  server.kill('SIGTERM');
  expect(await once(server, 'exit')).toEqual([0, null]);
}

describe.each([1, 2])('a server of %i processes works, and ends with 0, when its output', (workers) => {
  test('has lost its reader', async () => {
    const port = await start(workers, ['ignore', 'pipe', 'pipe']);
    await once(server.stdout!, 'data');
    server.stdout!.destroy();
    server.stderr!.destroy();
    await worksAndEnds(port);
  });

  test('never had a reader', async () => {
    const port = await start(workers, ['ignore', 'pipe', 'pipe']);
    server.stdout!.destroy();
    server.stderr!.destroy();
    await worksAndEnds(port);
  });

  test('goes to a disk that is full', async () => {
    const full = openSync('/dev/full', 'w');
    const port = await start(workers, ['ignore', full, full]);
    closeSync(full);
    await worksAndEnds(port);
  });

  if (workers > 1) {
    test('is full, and a worker that is killed is replaced all the same', async () => {
      const full = openSync('/dev/full', 'w');
      const port = await start(workers, ['ignore', full, full]);
      closeSync(full);
      const pids = () => workersOf({ pid: server.pid! });
      await eventually(() => pids().length === workers, 'all workers', HANG_MS);
      const [victim] = pids();
      process.kill(victim!, 'SIGKILL');
      const isReplaced = () => pids().length === workers && !pids().includes(victim!);
      await eventually(isReplaced, 'a new worker', HANG_MS);
      await worksAndEnds(port);
    });
  }
});
