import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { httpFetch } from '../../../src/cli/http-fetch.js';
import { Pigeonhole, type ClientOptions, type WatchEvent } from '../../../src/client/pigeonhole.js';
import { eventually } from '../../support/eventually.js';
import { freshKey, stored, valueOf } from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { calls } from './rules.js';

const urlOf = ({ port }: { port: number }) => `http://127.0.0.1:${port}`;

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  listener.close();
  await once(listener, 'close');
  return port;
}

const WAYS_TO_SEND: [string, typeof fetch][] = [
  ['fetch', fetch],
  ['what the command line sends with', httpFetch],
];

describe.each(WAYS_TO_SEND)('over a network with faults, on %s, the client', (_name, send) => {
  let server: ServerProcess;
  let proxy: TcpProxy;
  /** What the client of the test has sent. */
  let sent: { attempts: number };
  let db: Pigeonhole;

  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:' });
  });
  afterAll(() => server.end());
  beforeEach(async () => {
    // No connection is left of the test before.
    proxy = await startTcpProxy(server.port);
    db = client();
  });

  /** A client through the proxy, whose network is mended before the attempt of that number. */
  function client(mendedAt = Infinity, options: ClientOptions = {}): Pigeonhole {
    const own = { attempts: 0 };
    const counted: typeof fetch = (url, init) => {
      if (++own.attempts === mendedAt) proxy.restore();
      return send(url, init);
    };
    sent = own;
    return new Pigeonhole(urlOf(proxy), { fetch: counted, ...options });
  }

  const code = (call: Promise<unknown>) =>
    call.then(() => 'done').catch((error: { code: string }) => error.code);

  test.each([0, 300])('reads again when the answer breaks off after %i bytes', async (bytes) => {
    const key = freshKey();
    await stored(server.port, key, 'x'.repeat(1000));
    proxy.cutAfter(bytes);
    const { items } = await client(3).list({ prefix: key, values: true });
    expect(items[0]!.value).toHaveLength(1000);
    expect(sent.attempts).toBe(3);
  });

  test('gives a read up after the repetitions it has', async () => {
    proxy.cutAfter(0);
    expect(await code(client(Infinity, { retries: 1 }).count())).toBe('no-connection');
    expect(sent.attempts).toBe(2);
  });

  test('repeats a write whose answer is lost, which is done once, and gets the first answer', async () => {
    const key = freshKey();
    proxy.cutAfter(0);
    expect(await client(3).incr(key)).toBe(1n);
    expect(sent.attempts).toBe(3);
    proxy.cutAfter(0);
    expect((await client(3).put(`${key}/new`, '1', { create: true })).isNew).toBe(true);
    expect(sent.attempts).toBe(3);
    expect(await valueOf(server.port, key)).toBe('1');
  });

  test('says that nobody knows when it gives a write up, which is done once at most', async () => {
    const key = freshKey();
    proxy.cutAfter(0);
    db = client(Infinity, { retries: 1 });
    const writes = [
      db.put(key, '1'),
      db.incr(`${key}/n`),
      db.batch([{ op: 'incr', key: `${key}/n` }]),
      db.del(`${key}/absent`),
    ];
    expect(await Promise.all(writes.map(code))).toEqual(writes.map(() => 'outcome-unknown'));
    expect(sent.attempts).toBe(2 * writes.length);
    await eventually(async () => (await valueOf(server.port, `${key}/n`)) === '2');
  });

  test('does not repeat an import whose answer is lost', async () => {
    proxy.cutAfter(0);
    expect(await code(db.importFrom('{"key":"a","value":"x"}\n'))).toBe('outcome-unknown');
    expect(sent.attempts).toBe(1);
  });

  test('has a write done once over several calls with one key', async () => {
    const key = freshKey();
    const once = { idempotencyKey: `of ${key}`.replaceAll(' ', '-') };
    proxy.restore();
    expect([await db.incr(key, 1, once), await db.incr(key, 1, once)]).toEqual([1n, 1n]);
    expect(await code(db.incr(key, 2, once))).toBe('idempotency-mismatch');
  });

  test('repeats a write under a condition, which cannot be applied twice', async () => {
    const key = freshKey();
    proxy.cutAfter(0, 'request');
    await client(2).put(key, '1', { create: true });
    expect(sent.attempts).toBe(2);
    expect(await valueOf(server.port, key)).toBe('1');
  });

  test('repeats any request that was never sent', async () => {
    const port = await closedPort();
    const fetching: typeof fetch = (url, init) => {
      const asked = url as string;
      return send(++sent.attempts < 3 ? asked.replace(`:${server.port}`, `:${port}`) : asked, init);
    };
    const key = freshKey();
    expect(await new Pigeonhole(urlOf(server), { fetch: fetching }).incr(key)).toBe(1n);
    expect(sent.attempts).toBe(3);
  });

  test('sends a stream once', async () => {
    proxy.cutAfter(0);
    const body = new Blob(['x']).stream();
    expect(await code(db.put(freshKey(), body, { create: true }))).toBe('outcome-unknown');
    expect(sent.attempts).toBe(1);
  });

  test('tells when a value or an export breaks off, and never closes the sink', async () => {
    const key = freshKey();
    await stored(server.port, key, 'x'.repeat(1_000_000));
    proxy.cutAfter(10_000);
    for (const read of ['text', 'json', 'bytes'] as const)
      expect(await code((await db.get(key))![read]())).toBe('truncated');
    let closed = '';
    const sink = new WritableStream<Uint8Array>({
      abort: () => void (closed += 'aborted'),
      close: () => void (closed += 'closed'),
    });
    expect(await code(db.exportTo(sink, { prefix: key }))).toBe('truncated');
    expect(closed).toBe('aborted');
  });

  test('gives every call up when it is aborted, whatever the network does', async () => {
    proxy.blackHole();
    const over = new AbortController();
    const begun = calls(db, over.signal).map((call) => call().catch((reason: unknown) => reason));
    await eventually(() => sent.attempts === begun.length);
    over.abort('enough');
    expect(await Promise.all(begun)).toEqual(begun.map(() => 'enough'));
  });

  test('owns a lock whose answer is lost', async () => {
    proxy.cutAfter(0);
    const lock = await client(2).lock(freshKey(), { ttl: '30s' });
    expect(sent.attempts).toBe(2);
    await lock.release();
    expect(await valueOf(server.port, lock.key)).toBeUndefined();
  });

  test('leaves no lock behind when it is aborted while it waits', async () => {
    const name = freshKey();
    const lock = await db.lock(name, { ttl: '30s' });
    const over = new AbortController();
    const before = sent.attempts;
    const waiting = db.lock(name, { signal: over.signal }).catch((reason: unknown) => reason);
    await eventually(() => sent.attempts >= before + 3);
    over.abort('enough');
    expect(await waiting).toBe('enough');
    await lock.release();
    expect(await valueOf(server.port, lock.key)).toBeUndefined();
  });
});

test('a lock is renewed over answers that are lost, and says when it cannot be any more', async () => {
  const server = await startServer({ DATABASE_URL: 'memory:' });
  const proxy = await startTcpProxy(server.port);
  let attempts = 0;
  const counted: typeof fetch = (url, init) => fetch(url, init).finally(() => attempts++);
  const lock = await new Pigeonhole(urlOf(proxy), { fetch: counted }).lock('a', { ttl: '6s' });
  const renewed = () => new Promise<number>((resolve) => lock.onRenewal(resolve));
  proxy.cutAfter(0);
  const before = attempts;
  await eventually(() => attempts > before);
  proxy.restore();
  await renewed();
  expect(lock.signal.aborted).toBe(false);
  proxy.blackHole();
  await once(lock.signal, 'abort');
  expect(lock.signal.reason).toMatchObject({ code: 'lock-lost' });
  const next = await new Pigeonhole(urlOf(server)).lock('a');
  expect(next.fence > lock.fence).toBe(true);
  proxy.restore();
  await Promise.all([lock.release(), next.release()]);
  await server.end();
});

describe('a watch', () => {
  /** Follows in the background, and keeps what it is told. */
  function follow(db: Pigeonhole, targets: { prefix?: string[]; key?: string[] }, since?: string) {
    const over = new AbortController();
    const told: WatchEvent[] = [];
    const ended = (async () => {
      for await (const event of db.watch(targets, { since, signal: over.signal })) told.push(event);
    })().catch((reason: unknown) => reason);
    return { told, ended, stop: () => over.abort('enough'), lines: () => told.map(lineOf) };
  }

  function lineOf(event: WatchEvent): string {
    return event.kind === 'put'
      ? `${event.key}=${event.value}`
      : 'key' in event
        ? `${event.kind} ${event.key}`
        : event.kind;
  }

  test('goes on over restarts of the server, of several prefixes, and tells each change once', async () => {
    const settings = { DATABASE_URL: `lmdb:${temporaryFolder()}` };
    let server = await startServer(settings);
    const PORT = String(server.port);
    await stored(server.port, 'a/0', '0');
    const watch = follow(new Pigeonhole(urlOf(server)), { prefix: ['a/', 'b/'], key: ['c'] });
    const changes = () => watch.lines().filter((line) => line !== 'ready');
    const expected = ['a/0=0'];
    for (let round = 1; round <= 3; round++) {
      for (const key of ['a/1', 'b/1', 'c', 'other']) await stored(server.port, key, String(round));
      expected.push(...['a/1', 'b/1', 'c'].map((key) => `${key}=${round}`));
      await server.end(round === 2 ? 'SIGTERM' : 'SIGKILL');
      server = await startServer({ ...settings, PORT });
    }
    await stored(server.port, 'c', 'last');
    await eventually(() => watch.lines().includes('c=last'));
    expect(changes()).toEqual([...expected, 'c=last']);
    watch.stop();
    expect(await watch.ended).toBe('enough');
    await server.end();
  });

  test('tells everything anew, after `reset`, where the server does not know its id any more', async () => {
    let server = await startServer({ DATABASE_URL: 'memory:' });
    await stored(server.port, 'a', '1');
    const watch = follow(new Pigeonhole(urlOf(server)), { prefix: [''] });
    await eventually(() => watch.told.length === 2);
    const PORT = String(server.port);
    await server.end();
    server = await startServer({ DATABASE_URL: 'memory:', PORT });
    await stored(server.port, 'b', '2');
    await eventually(() => watch.lines().includes('b=2'));
    expect(watch.lines().slice(0, 3)).toEqual(['a=1', 'ready', 'reset']);
    expect(watch.told.filter(({ kind }) => kind === 'put').map((event) => event.id === undefined)[0]).toBe(
      true,
    );
    watch.stop();
    await watch.ended;
    await server.end();
  });

  test('begins a snapshot anew that was cut off', async () => {
    const server = await startServer({ DATABASE_URL: 'memory:' });
    for (const key of ['a', 'b']) await stored(server.port, key, 'x'.repeat(20_000));
    const proxy = await startTcpProxy(server.port);
    proxy.cutAfter(30_000);
    const watch = follow(new Pigeonhole(urlOf(proxy)), { prefix: [''] });
    await eventually(() => watch.told.length >= 2);
    proxy.restore();
    await eventually(() => watch.lines().includes('ready'));
    const anew = watch.told.slice(watch.lines().lastIndexOf('reset') + 1);
    expect(anew.map((event) => ('key' in event ? event.key : event.kind))).toEqual(['a', 'b', 'ready']);
    expect(watch.lines()).toContain('reset');
    watch.stop();
    await watch.ended;
    await server.end();
  });

  test('does not try again what the server refuses', async () => {
    const server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: 'x'.repeat(20) });
    const watch = follow(new Pigeonhole(urlOf(server)), { prefix: [''] });
    expect(await watch.ended).toMatchObject({ code: 'unauthenticated', status: 401 });
    await server.end();
  });
});
