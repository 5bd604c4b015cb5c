import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../../support/http.js';
import {
  expectProblem,
  freshKey,
  pathOf,
  put,
  stored,
  twinOf,
  valueOf,
  type Description,
} from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { describeOn, TARGETS } from '../../../support/ways.js';

/** With random bits behind it where a failover could roll the counter back. */
const TAG = /^"[0-9a-f]{8}-[0-9a-z]{13}(?:-[0-9a-f]{12})?"$/;
/** Keys that a path, a router or a query parser could take for something else. */
const HARD_KEYS = [
  '.',
  '..',
  '...',
  'a/../b',
  './a',
  '../../etc/passwd',
  'a/b',
  'a/',
  '/',
  '//',
  '/a//b/',
  '%',
  '%25',
  '%2F',
  'a%00b',
  'a\0b',
  '\u0001\u001f\u007f',
  'a?b',
  'a#b',
  'a&b=c',
  '?key=x',
  'a b',
  ' ',
  'a+b',
  '+',
  'a\\b',
  'a\r\nSET x y',
  'é',
  'e\u0301',
  '中文',
  '🐦',
  '\u{10ffff}',
  '\ufeff',
  '\u202e',
  'key',
  'prefix',
  'kv',
  '__proto__',
  'constructor',
  'toString',
  'a[b]',
  ':id',
  '*key',
  '{*key}',
  '12',
  'null',
  'undefined',
  '"quoted"',
  '<script>',
  ';v=1',
];

describeOn(TARGETS)('an entry, $name', ({ start, lacks }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  test('is created with 201 and replaced with 200', async () => {
    const key = freshKey();
    const created = await put(target.port, key, 'one', { 'Content-Type': 'text/x-one' });
    expect(created.status).toBe(201);
    const first = expectDescription(created, { key, type: 'text/x-one', size: 3, expires: null });
    const replaced = await put(target.port, key, 'three', { 'Content-Type': 'text/x-two' });
    expect(replaced.status).toBe(200);
    expect(replaced.headers).not.toHaveProperty('location');
    const second = expectDescription(replaced, { key, type: 'text/x-two', size: 5, expires: null });
    expect(second.created).toBe(first.created);
    expect(second.etag > first.etag).toBe(true);
    expect(await valueOf(target.port, key)).toBe('three');
  });

  test('is given back by GET, and by HEAD without its bytes', async () => {
    const key = freshKey();
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const etag = await stored(target.port, key, value, { 'Content-Type': 'image/x-any' });
    const get = await ask(target.port, pathOf(key));
    expect(get.status).toBe(200);
    expect(get.bytes.equals(value)).toBe(true);
    expect(get.headers).toMatchObject({
      'content-type': 'image/x-any',
      'content-length': '256',
      etag,
      'last-modified': expect.stringMatching(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/),
      'accept-ranges': 'bytes',
      'cache-control': 'no-cache',
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringMatching(/^sandbox; default-src 'none'/),
    });
    expect(get.headers).not.toHaveProperty('kv-expires');
    const head = await ask(target.port, pathOf(key), { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    const { date: _, ...headers } = get.headers;
    expect(head.headers).toMatchObject(headers);
  });

  test('that is absent is 404, and deleting it is 204 like deleting one that is there', async () => {
    const key = freshKey();
    const problem = expectProblem(await ask(target.port, pathOf(key)), 404, 'missing-key');
    expect(problem.detail).toContain(key);
    expect((await ask(target.port, pathOf(key), { method: 'HEAD' })).status).toBe(404);
    await stored(target.port, key, 'v');
    for (let i = 0; i < 2; i++) {
      const deleted = await ask(target.port, pathOf(key), { method: 'DELETE' });
      expect(deleted).toMatchObject({ status: 204, text: '' });
      expect(await valueOf(target.port, key)).toBeUndefined();
    }
  });

  test('takes a new tag at every change, also when it comes back', async () => {
    const key = freshKey();
    const tags = new Set<string>();
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) tags.add(await stored(target.port, key, 'same'));
      const touched = await ask(target.port, `${pathOf(key)}?ttl=1h`, { method: 'PATCH' });
      tags.add(touched.headers.etag!);
      await ask(target.port, pathOf(key), { method: 'DELETE' });
    }
    expect(tags.size).toBe(12);
    for (const tag of tags) expect(tag).toMatch(TAG);
    if (!lacks.includes('orderedTags')) expect([...tags].sort()).toEqual([...tags]);
  });

  test('may be empty', async () => {
    const key = freshKey();
    expectDescription(await put(target.port, key, ''), {
      key,
      type: 'text/plain; charset=utf-8',
      size: 0,
      expires: null,
    });
    expect(await ask(target.port, pathOf(key))).toMatchObject({ status: 200, text: '' });
  });

  test.each(HARD_KEYS)('both spellings are one entry, and Location leads back: %j', async (key) => {
    const value = `value of ${key}`;
    const created = await ask(target.port, twinOf(key), { method: 'PUT', body: value });
    expect(created.status).toBe(201);
    expect((JSON.parse(created.text) as Description).key).toBe(key);
    const survives = new URL(created.headers.location!, 'http://127.0.0.1/');
    expect((await ask(target.port, survives.pathname + survives.search)).text).toBe(value);
    for (const path of [pathOf(key), twinOf(key)]) {
      expect((await ask(target.port, path)).text).toBe(value);
      const replaced = await ask(target.port, path, { method: 'PUT', body: `${value} by ${path}` });
      expect(replaced.status).toBe(200);
      expect(await valueOf(target.port, key)).toBe(`${value} by ${path}`);
      await ask(target.port, path, { method: 'PUT', body: value });
    }
    expect((await ask(target.port, pathOf(key), { method: 'DELETE' })).status).toBe(204);
    expect((await ask(target.port, twinOf(key))).status).toBe(404);
  });

  function expectDescription(answer: Answer, fields: Partial<Description>): Description {
    const description = JSON.parse(answer.text) as Description;
    expect(Object.keys(description)).toEqual([
      'key',
      'etag',
      'type',
      'size',
      'created',
      'modified',
      'expires',
    ]);
    expect(description).toMatchObject(fields);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      etag: `"${description.etag}"`,
      'last-modified': new Date(description.modified).toUTCString(),
    });
    for (const time of [description.created, description.modified])
      expect(new Date(time).toISOString()).toBe(time);
    return description;
  }
});
