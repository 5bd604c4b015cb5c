import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import net from 'node:net';
import { eventually, within } from '../../support/eventually.js';
import { ask, eachAtOnce, setPath, wholeDatabase } from '../../support/http.js';
import { lines } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { shortOrLong } from '../../support/long-run.js';

/** More than the buffers of a connection hold, so that the answer is still under way when the signal comes. */
const ENTRIES = 400;
const VALUE = 'v'.repeat(50_000);
const WRITERS = 16;
/** Below the 9 s after which the server cuts off whoever is left. */
const UNFORCED_MS = 8_500;

let server: ServerProcess;
afterEach(() => server.end());

async function startFull(): Promise<Map<string, string>> {
  server = await startServer();
  const stored = new Map(Array.from({ length: ENTRIES }, (_, i) => [`k${i}`, VALUE]));
  await eachAtOnce(stored, 16, ([key, value]) => ask(server.port, setPath(key, value)));
  return stored;
}

/** An answer of which nothing has been read yet but its head. */
function startReading(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: server.port, path: '/', agent: false }, resolve).on('error', reject);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** A keep-alive connection that has been answered once; resolves to a promise of its end. */
async function idleConnection(): Promise<{ ended: Promise<void> }> {
  const socket = net.connect(server.port, '127.0.0.1');
  const ended = new Promise<void>((resolve) =>
    socket.on('close', () => resolve()).on('error', () => resolve()),
  );
  socket.write(lines('GET /get?key=k1 HTTP/1.1', 'Host: localhost'));
  await new Promise((resolve) => socket.once('data', resolve));
  socket.resume();
  return { ended };
}

describe.each(shortOrLong(['SIGTERM'] as const, ['SIGTERM', 'SIGINT', 'SIGHUP'] as const))('%s', (signal) => {
  test('lets an answer under way finish, ends idle connections, takes no new request and exits 0', async () => {
    const stored = await startFull();
    const idle = await Promise.all([idleConnection(), idleConnection()]);
    const response = await startReading();
    process.kill(server.pid, signal);
    await within(Promise.all(idle.map(({ ended }) => ended)), 'the end of idle connections');

    const late = ask(server.port, '/set?late=1', { agent: false });
    expect([503, 'refused']).toContain(
      await late.then(
        ({ status }) => status,
        () => 'refused',
      ),
    );

    expect((await textOf(response)) === wholeDatabase(stored)).toBe(true);
    expect(response.complete).toBe(true);
    expect(await within(server.exit, 'the exit')).toEqual({ code: 0, signal: null });
    const { stdout, stderr } = server.output();
    expect(stderr).toBe('');
    const said = stdout.split('\n').filter((line) => /Stopp/.test(line));
    expect(said).toEqual([
      expect.stringContaining(`Stopping on ${signal}`),
      expect.stringContaining('Stopped'),
    ]);
  });
});

test('a reader that has stalled does not keep the server, and is not told that it has everything', async () => {
  await startFull();
  const response = await startReading();
  process.kill(server.pid, 'SIGTERM');
  expect(await within(server.exit, 'the exit')).toEqual({ code: 0, signal: null });
  await expect(textOf(response)).rejects.toThrow('aborted');
});

test('connections that send nothing do not keep the server', async () => {
  server = await startServer();
  const silent = net.connect(server.port, '127.0.0.1').on('error', () => {});
  const half = net.connect(server.port, '127.0.0.1').on('error', () => {});
  half.write('GET / HTTP/1.1\r\n');
  await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
  process.kill(server.pid, 'SIGTERM');
  expect(await within(server.exit, 'the exit', UNFORCED_MS)).toEqual({ code: 0, signal: null });
  silent.destroy();
  half.destroy();
});

test('a second signal changes nothing', async () => {
  const stored = await startFull();
  const response = await startReading();
  process.kill(server.pid, 'SIGTERM');
  process.kill(server.pid, 'SIGINT');
  process.kill(server.pid, 'SIGTERM');
  expect((await textOf(response)) === wholeDatabase(stored)).toBe(true);
  expect(await within(server.exit, 'the exit')).toEqual({ code: 0, signal: null });
});

test('every write that was answered is there after the restart, and no other', async () => {
  const DATABASE_URL = `lmdb:${temporaryFolder()}`;
  server = await startServer({ DATABASE_URL });
  const agent = new http.Agent({ keepAlive: true });
  const answered = new Map<string, string>();
  const unanswered = new Set<string>();
  const writer = async (name: number) => {
    for (let i = 0; ; i++) {
      const key = `${name}/${i}`;
      try {
        const { status } = await ask(server.port, setPath(key, 'v'), { agent });
        if (status !== 201) return expect(status).toBe(503);
        answered.set(key, 'v');
      } catch {
        unanswered.add(key);
        return;
      }
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, i) => writer(i)));
  await eventually(() => answered.size > 100, 'some answers');
  process.kill(server.pid, 'SIGTERM');
  expect(await within(server.exit, 'the exit')).toEqual({ code: 0, signal: null });
  await writers;
  agent.destroy();

  server = await startServer({ DATABASE_URL });
  const found = JSON.parse((await ask(server.port, '/')).text) as Record<string, string>;
  expect([...answered.keys()].filter((key) => found[key] !== 'v')).toEqual([]);
  expect(Object.keys(found).filter((key) => !answered.has(key) && !unanswered.has(key))).toEqual([]);
});
