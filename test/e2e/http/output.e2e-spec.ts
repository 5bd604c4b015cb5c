import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { ask, getPath, setPath } from '../../support/http.js';
import { builtServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { eventually } from '../../support/eventually.js';
import { shortOrLong } from '../../support/long-run.js';
import { anonymousMemory } from '../../support/memory.js';
import { workersOf } from '../../support/workers.js';

const REQUESTS = 20;
/** Several times what waits for a reader. */
const MANY = shortOrLong(10_000, 50_000);
const AT_ONCE = 50;
const CONNECTIONS = 10;
/** What a server takes at rest, and some more: the lines have 12 MB. */
const MOST_MEMORY = 160 * 1024 * 1024;
/** Two starts on a machine that is busy. */
const HANG_MS = 60_000;
jest.setTimeout(2 * HANG_MS);

/** Members of lines that are looked at. */
interface LogLine {
  readonly path?: string;
  readonly dropped?: number;
}

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
  const settings = { PORT: String(port), WORKERS: String(workers), ACCESS_LOG: 'true' };
  server = spawn(process.execPath, [builtServer()], {
    env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: `lmdb:${temporaryFolder()}`, ...settings },
    cwd: temporaryFolder(),
    stdio,
  });
  return port;
}

/** Sends MANY requests over a few connections, some at a time; returns how many were answered. */
async function askMuch(port: number): Promise<number> {
  const request = `GET ${getPath('a')} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(AT_ONCE);
  const counts = Array.from({ length: CONNECTIONS }, async () => {
    const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
    socket.write(request);
    let [answers, rest] = [0, ''];
    for await (const chunk of socket) {
      const parts = (rest + (chunk as string)).split('HTTP/1.1 200 ');
      rest = parts.at(-1)!;
      answers += parts.length - 1;
      if (answers === MANY / CONNECTIONS) break;
      if (parts.length > 1 && answers % AT_ONCE === 0) socket.write(request);
    }
    return answers;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function isServing(port: number): Promise<boolean> {
  const write = ask(port, setPath('a', '1'), { agent: false });
  return write.then(
    ({ status }) => status < 300,
    () => false,
  );
}

async function worksAndEnds(port: number): Promise<void> {
  await eventually(() => isServing(port), 'an answer', HANG_MS);
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

  test('goes to a reader that reads nothing for thousands of lines, and those it gets then are whole', async () => {
    const port = await start(workers, ['ignore', 'pipe', 'pipe']);
    await eventually(() => isServing(port), 'an answer', HANG_MS);
    const asked = await askMuch(port);
    expect(asked).toBe(MANY);
    const processes = workers > 1 ? workersOf({ pid: server.pid! }) : [server.pid!];
    for (const pid of processes) expect(anonymousMemory(pid)).toBeLessThan(MOST_MEMORY);
    let text = '';
    server.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const lines = () =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as LogLine);
    const isComplete = () => {
      const dropped = lines().reduce((sum, line) => sum + (line.dropped ?? 0), 0);
      return dropped > 0 && lines().filter(({ path }) => path === '/get').length + dropped >= MANY;
    };
    await eventually(isComplete, 'all lines, or how many were dropped', HANG_MS);
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
