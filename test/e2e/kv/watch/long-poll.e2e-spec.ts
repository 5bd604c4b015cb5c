import { afterAll, beforeAll, expect, test } from '@jest/globals';
import net from 'node:net';
import { eventually } from '../../../support/eventually.js';
import { ask, type Answer } from '../../../support/http.js';
import { expectProblem, freshKey, pathOf, stored, twinOf } from '../../../support/kv.js';
import { lines } from '../../../support/raw-http.js';
import { startServer } from '../../../support/server.js';
import type { Target } from '../../../support/target.js';
import { describeOn, TARGETS } from '../../../support/ways.js';

/** Long enough that an answer which should have come at once has come, short enough to wait for. */
const HELD_MS = 150;

/** Whether `answer` is still out after a while. */
async function isHeld(answer: Promise<Answer>): Promise<boolean> {
  const late = new Promise<'held'>((resolve) => setTimeout(() => resolve('held'), HELD_MS));
  return (await Promise.race([answer, late])) === 'held';
}

describeOn(TARGETS)('long-poll, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  const poll = (path: string, etag?: string, prefer = 'wait=20') =>
    ask(target.port, path, {
      headers: { Prefer: prefer, ...(etag === undefined ? {} : { 'If-None-Match': etag }) },
      agent: false,
    });
  const remove = (key: string) => ask(target.port, pathOf(key), { method: 'DELETE' });

  test.each([pathOf, twinOf])(
    'holds while the client knows the entry, and answers its change',
    async (path) => {
      const key = freshKey();
      const etag = await stored(target.port, key, '1');
      const held = poll(path(key), etag);
      await stored(target.port, `${key}/other`, 'x');
      expect(await isHeld(held)).toBe(true);
      const next = await stored(target.port, key, '2');
      const answer = await held;
      expect([answer.status, answer.text, answer.headers.etag]).toEqual([200, '2', next]);
      expect(answer.headers['preference-applied']).toBe('wait=20');
      expect(answer.headers['cache-control']).toBe('no-cache');
    },
  );

  test('holds while the entry is absent, without If-None-Match', async () => {
    const key = freshKey();
    const held = poll(pathOf(key));
    expect(await isHeld(held)).toBe(true);
    await stored(target.port, key, 'here');
    expect(await held).toMatchObject({ status: 200, text: 'here' });
  });

  test('answers at once what the client does not know', async () => {
    const key = freshKey();
    const old = await stored(target.port, key, '1');
    const etag = await stored(target.port, key, '2');
    expect(await poll(pathOf(key))).toMatchObject({ status: 200, text: '2' });
    expect(await poll(pathOf(key), old)).toMatchObject({ status: 200, text: '2' });
    await remove(key);
    expectProblem(await poll(pathOf(key), etag), 404, 'missing-key');
    expectProblem(await poll(pathOf(key), '*'), 404, 'missing-key');
  });

  test('a deletion and an expiry answer who waits, with 404', async () => {
    const deleted = freshKey();
    const first = poll(pathOf(deleted), await stored(target.port, deleted, 'x'));
    expect(await isHeld(first)).toBe(true);
    await remove(deleted);
    expectProblem(await first, 404, 'missing-key');
    const expired = freshKey();
    await ask(target.port, `${pathOf(expired)}?ttl=1s`, { method: 'PUT', body: 'x' });
    const { etag } = (await ask(target.port, pathOf(expired))).headers;
    expectProblem(await poll(pathOf(expired), etag), 404, 'missing-key');
  });

  test('at the end of the wait it is the answer of that moment', async () => {
    const key = freshKey();
    const etag = await stored(target.port, key, 'x');
    const known = await poll(pathOf(key), etag, 'wait=1');
    expect([known.status, known.text]).toEqual([304, '']);
    expect(known.headers).toMatchObject({ etag, 'preference-applied': 'wait=1' });
    const absent = await poll(pathOf(freshKey()), undefined, 'wait=1');
    expectProblem(absent, 404, 'missing-key');
    expect(absent.headers['preference-applied']).toBe('wait=1');
  });

  test('a page is held while its tag is known, for whatever changes it', async () => {
    const prefix = `${freshKey()}/`;
    const path = `/kv?prefix=${encodeURIComponent(prefix)}&values=true`;
    for (const change of [
      () => stored(target.port, `${prefix}a`, '1'),
      () => stored(target.port, `${prefix}a`, '2'),
      () => remove(`${prefix}a`),
    ]) {
      const { etag } = (await ask(target.port, path)).headers;
      const held = poll(path, etag);
      await stored(target.port, freshKey(), 'elsewhere');
      expect(await isHeld(held)).toBe(true);
      await change();
      const answer = await held;
      expect(answer.status).toBe(200);
      expect(answer.headers.etag).not.toBe(etag);
    }
    const { etag } = (await ask(target.port, path)).headers;
    expect((await poll(path, etag, 'wait=1')).status).toBe(304);
    expect((await poll(path)).status).toBe(200);
  });

  test.each([
    ['wait=0', 'wait=0'],
    ['wait=61', 'wait=60'],
    ['wait=999999999999', 'wait=60'],
    ['respond-async, wait=5', 'wait=5'],
    ['Wait="7"; foo', 'wait=7'],
    ['wait=3;x="a, b", wait=9', 'wait=3'],
  ])('Prefer: %s is applied as %s', async (prefer, applied) => {
    const key = freshKey();
    const old = await stored(target.port, key, '1');
    await stored(target.port, key, '2');
    expect((await poll(pathOf(key), old, prefer)).headers['preference-applied']).toBe(applied);
  });

  test.each([
    'wait',
    'wait=',
    'wait=-1',
    'wait=x',
    'wait=1.5',
    'wait=5s',
    'await=5',
    'respond-async',
    'wait=0x5',
    'wait="5',
    'foo="a, wait=5"',
    'respond-async; wait=5',
    'wait=5 6',
  ])('Prefer: %s is ignored', async (prefer) => {
    const key = freshKey();
    const etag = await stored(target.port, key, 'x');
    const known = await poll(pathOf(key), etag, prefer);
    expect(known.status).toBe(304);
    expect(known.headers['preference-applied']).toBeUndefined();
    expect((await poll(pathOf(freshKey()), undefined, prefer)).status).toBe(404);
  });

  test('is not said to be applied where a date alone made the answer, at once', async () => {
    const key = freshKey();
    await stored(target.port, key, 'x');
    const headers = { Prefer: 'wait=20', 'If-Modified-Since': new Date(Date.now() + 60_000).toUTCString() };
    const known = await ask(target.port, pathOf(key), { headers });
    expect(known.status).toBe(304);
    expect(known.headers).not.toHaveProperty('preference-applied');
    const held = ask(target.port, pathOf(freshKey()), { headers: { ...headers, Prefer: 'wait=1' } });
    expect(await held).toMatchObject({ status: 404, headers: { 'preference-applied': 'wait=1' } });
  });

  test('HEAD never waits, and no write does', async () => {
    const key = freshKey();
    const etag = await stored(target.port, key, 'x');
    const headers = { Prefer: 'wait=60', 'If-None-Match': etag };
    for (const path of [pathOf(key), twinOf(key)])
      expect((await ask(target.port, path, { method: 'HEAD', headers })).status).toBe(304);
    expect((await ask(target.port, pathOf(freshKey()), { method: 'HEAD', headers })).status).toBe(404);
    expect((await ask(target.port, pathOf(key), { method: 'PUT', body: 'y', headers })).status).toBe(412);
  });

  test('many who wait for one entry are all answered', async () => {
    const key = freshKey();
    const held = Array.from({ length: 100 }, () => poll(pathOf(key)));
    expect(await isHeld(held[99]!)).toBe(true);
    await stored(target.port, key, 'now');
    for (const answer of await Promise.all(held)) expect(answer.text).toBe('now');
  });
});

test('shutdown answers those who wait', async () => {
  const server = await startServer();
  const etag = await stored(server.port, 'a', 'x');
  const headers = { Prefer: 'wait=60' };
  const known = ask(server.port, '/kv/a', { headers: { ...headers, 'If-None-Match': etag }, agent: false });
  const absent = ask(server.port, '/kv/b', { headers, agent: false });
  expect(await isHeld(Promise.race([known, absent]))).toBe(true);
  process.kill(server.pid, 'SIGTERM');
  expect((await known).status).toBe(304);
  expect((await absent).status).toBe(404);
  expect(await server.exit).toEqual({ code: 0, signal: null });
});

test('a client that goes away frees its place, queued answers too; without a place nobody is held', async () => {
  const server = await startServer({ MAX_WATCHERS: '4' });
  const request = lines('GET /kv/absent HTTP/1.1', 'Host: localhost', 'Prefer: wait=60');
  const isRefused = async () => {
    const { status, headers } = await ask(server.port, '/kv/absent', {
      headers: { Prefer: 'wait=1' },
      agent: false,
    });
    expect(status).toBe(404);
    return headers['preference-applied'] === undefined;
  };
  for (let round = 0; round < 2; round++) {
    const socket = net.connect(server.port, '127.0.0.1').on('error', () => undefined);
    socket.write(request.repeat(4));
    await eventually(isRefused, 'a refusal');
    socket.destroy();
    await eventually(async () => !(await isRefused()), 'a free place');
  }
  await server.end();
});
