import { afterEach, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import net from 'node:net';
import { eventually } from '../../../support/eventually.js';
import { ask, eachAtOnce } from '../../../support/http.js';
import { expectProblem, pathOf, stored } from '../../../support/kv.js';
import { lines } from '../../../support/raw-http.js';
import { disorderOf, EventStream, stateAfter, toldOf, type SentEvent } from '../../../support/events.js';
import { startServer, type ServerProcess } from '../../../support/server.js';

const ACCEPT = { Accept: 'text/event-stream' };
/** Far above what it takes, and below the 9 s after which the server cuts off whoever is left. */
const UNFORCED_MS = 8_500;

let server: ServerProcess;
const open: { close(): void }[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await server.end();
});

async function live(path: string, headers = {}): Promise<EventStream> {
  const stream = await EventStream.live(server.port, path, headers);
  open.push(stream);
  return stream;
}

/** A connection that sends `bytes` and never reads an answer. */
async function silentReader(bytes: string): Promise<net.Socket> {
  const socket = net.connect(server.port, '127.0.0.1').on('error', () => undefined);
  open.push({ close: () => socket.destroy() });
  await new Promise<void>((resolve) => socket.once('connect', () => socket.write(bytes, () => resolve())));
  socket.pause();
  return socket;
}

/** Asks again until the answer has `status`. */
async function untilStatus(path: string, status: number): Promise<void> {
  const question = { host: '127.0.0.1', port: server.port, path, agent: false as const, headers: ACCEPT };
  const got = () =>
    new Promise<number>((resolve, reject) => {
      http
        .get(question, (response) => {
          resolve(response.statusCode!);
          response.destroy();
        })
        .on('error', reject);
    });
  await eventually(async () => (await got()) === status, `${status} for ${path}`);
}

describe('MAX_WATCHERS', () => {
  test('one more is 503 and names the setting; whoever leaves makes room', async () => {
    server = await startServer({ MAX_WATCHERS: '3' });
    const streams = await Promise.all(['/', '/kv?prefix=a', '/kv/a'].map((path) => live(path)));
    for (const path of ['/kv/b', '/kv?prefix=']) {
      const answer = await ask(server.port, path, { headers: ACCEPT });
      expect(expectProblem(answer, 503, 'busy')).toMatchObject({ setting: 'MAX_WATCHERS', limit: 3 });
      expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    }
    expect((await ask(server.port, '/', { headers: ACCEPT })).status).toBe(503);
    streams[1]!.close();
    await untilStatus('/kv/b', 200);
  });

  test('of 0 lets nobody watch, and a long-poll is answered at once', async () => {
    server = await startServer({ MAX_WATCHERS: '0' });
    expectProblem(await ask(server.port, '/kv/a', { headers: ACCEPT }), 503, 'busy');
    const answer = await ask(server.port, '/kv/a', { headers: { Prefer: 'wait=60' } });
    expectProblem(answer, 404, 'missing-key');
    expect(answer.headers['preference-applied']).toBeUndefined();
  });

  test('a watch that waits behind another on its connection gives its place back too', async () => {
    server = await startServer({ MAX_WATCHERS: '8' });
    const watch = lines('GET /kv?prefix=a HTTP/1.1', 'Host: localhost', 'Accept: text/event-stream');
    for (let round = 0; round < 3; round++) {
      const socket = await silentReader(watch.repeat(8));
      await new Promise((resolve) => setTimeout(resolve, 100));
      socket.destroy();
    }
    // Every place is free again: eight can be held at the same time.
    let held = 0;
    await eventually(async () => {
      const stream = await EventStream.open(server.port, '/').catch(() => undefined);
      if (stream) held = open.push(stream) && held + 1;
      return held === 8;
    }, 'eight free places');
    expect(server.output().stderr).toBe('');
  });
});

describe('a reader that does not read', () => {
  const VALUE = 'v'.repeat(60_000);
  const WRITES = 400;

  test('is cut off, costs others nothing, and goes on by its last id with nothing missing', async () => {
    server = await startServer();
    const seen: SentEvent[] = [];
    const slow = await EventStream.open(server.port, '/kv?prefix=s/', {}, (event) => seen.push(event));
    open.push(slow);
    await slow.until(({ event }) => event === 'ready');
    const fast = await live('/kv?prefix=s/f');
    slow.response.pause();
    const keys = Array.from({ length: WRITES }, (_, i) => `s/${i % 50}`);
    await eachAtOnce(keys, 8, (key) => stored(server.port, key, VALUE));
    const final = (await stored(server.port, 's/f', 'x')).slice(1, -1);
    await fast.told('s/f', final);
    slow.response.resume();
    await slow.ended;
    expect(seen.length).toBeLessThan(WRITES);

    const again = await live('/kv?prefix=s/', { 'Last-Event-ID': slow.lastId! });
    const told = [...seen, ...again.events];
    expect(again.names).not.toContain('reset');
    expect(disorderOf(told)).toEqual([]);
    expect(told.filter(({ event }) => event === 'put')).toHaveLength(WRITES + 1);
    expect(server.output().stderr).toBe('');
  });

  test('and for whom the log has moved on is no harm to the server', async () => {
    server = await startServer({ WATCH_LOG_BYTES: '65536' });
    const slow = await EventStream.open(server.port, '/kv?prefix=s/');
    open.push(slow);
    await slow.until(({ event }) => event === 'ready');
    slow.response.pause();
    for (let round = 0; round < 20; round++) {
      const keys = Array.from({ length: 64 }, (_, i) => `s/${i % 50}`);
      await eachAtOnce(keys, 64, (key) => stored(server.port, key, VALUE));
      (await EventStream.live(server.port, '/kv?prefix=other/')).close();
    }
    slow.response.resume();
    await slow.ended;
    const again = await live(
      '/kv?prefix=s/',
      slow.lastId === undefined ? {} : { 'Last-Event-ID': slow.lastId },
    );
    const told = [...slow.events, ...again.events];
    expect(disorderOf(told)).toEqual([]);
    expect(stateAfter(told).size).toBe(50);
    expect(server.output().stderr).toBe('');
  });
});

describe('shutting down', () => {
  test('ends every stream, and the process, without force', async () => {
    server = await startServer();
    const streams = await Promise.all(['/', '/kv?prefix=a', '/kv/a'].map((path) => live(path)));
    const exited = server.exit;
    const start = Date.now();
    process.kill(server.pid, 'SIGTERM');
    await Promise.all(streams.map(({ ended }) => ended));
    expect(streams.every(({ response }) => response.complete)).toBe(true);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(Date.now() - start).toBeLessThan(UNFORCED_MS);
  });

  test('ends a stream in its snapshot too', async () => {
    server = await startServer();
    const keys = Array.from({ length: 400 }, (_, i) => `k${i}`);
    await eachAtOnce(keys, 16, (key) => stored(server.port, key, 'v'.repeat(50_000)));
    const stream = await EventStream.open(server.port, '/');
    open.push(stream);
    stream.response.pause();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const exited = server.exit;
    const start = Date.now();
    process.kill(server.pid, 'SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 200));
    stream.response.resume();
    await stream.ended;
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(Date.now() - start).toBeLessThan(UNFORCED_MS);
    // Whoever comes again begins anew: nothing of what was sent can be mistaken for a position.
    expect(stream.lastId === undefined || stream.names.includes('ready')).toBe(true);
  });
});

test('what a client is told is what it can read', async () => {
  server = await startServer();
  const stream = await live('/');
  await eachAtOnce(
    Array.from({ length: 200 }, (_, i) => `k${i % 20}`),
    8,
    (key) => stored(server.port, key, `${Math.random()}`),
  );
  await stored(server.port, 'end', 'x');
  await stream.told('end');
  for (const [key, etag] of stateAfter(stream.events))
    expect((await ask(server.port, pathOf(key))).headers.etag).toBe(`"${etag}"`);
  expect(toldOf(stream.events.at(-1)!).key).toBe('end');
});
