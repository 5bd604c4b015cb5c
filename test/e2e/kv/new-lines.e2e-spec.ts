import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, type Question } from '../../support/http.js';
import { JSON_TYPE, NDJSON, stored } from '../../support/kv.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';

const BATCH = JSON.stringify({ ops: [{ op: 'get', key: 'a' }] });

describeOn(ENGINES)('the end of a document, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
    await stored(target.port, 'a', '{"x":1}', JSON_TYPE);
  });
  afterAll(() => target.close());

  test.each<[string, Question]>([
    ['/kv/new', { method: 'PUT', body: 'x' }],
    ['/kv/a?ttl=1h', { method: 'PATCH' }],
    ['/kv', {}],
    ['/kv?values=true&limit=1', {}],
    ['/kv?prefix=none', { method: 'DELETE' }],
    ['/kv', { method: 'POST', headers: NDJSON, body: '{"key":"b","value":"x"}\n' }],
    ['/batch', { method: 'POST', headers: JSON_TYPE, body: BATCH }],
    ['/kv/absent', {}],
    ['/kv?limit=0', {}],
    ['/kv/a', { method: 'POST' }],
    ['/batch', { method: 'GET' }],
    ['/kv/a', { headers: { 'If-Match': '"x"' } }],
    ['/kv?key=a&key=b', {}],
  ])('is a new line, which counts into its length: %s %j', async (path, question) => {
    const { text, bytes, headers } = await ask(target.port, path, question);
    expect(text).toMatch(/^\{.*\}\n$/);
    expect(headers['content-length']).toBe(String(bytes.length));
    JSON.parse(text);
    if (question.method !== undefined) return;
    const head = await ask(target.port, path, { ...question, method: 'HEAD' });
    expect(head.headers['content-length']).toBe(headers['content-length']);
  });

  test.each(['/', '/get?key=a', '/set?c=d', '/get', '/get?key=absent', '/set', '/absent'])(
    'is a brace on the original routes: %s',
    async (path) => {
      const { text, bytes, headers } = await ask(target.port, path);
      expect(text).toMatch(/^\{.*\}$/);
      if (path !== '/') expect(headers['content-length']).toBe(String(bytes.length));
    },
  );

  test('is none of a value, a counter, or a patched value', async () => {
    expect((await ask(target.port, '/kv/a')).text).toBe('{"x":1}');
    expect((await ask(target.port, '/kv/n?incr=1', { method: 'PATCH' })).text).toBe('1');
    const headers = { 'Content-Type': 'application/merge-patch+json' };
    const patched = await ask(target.port, '/kv/a', { method: 'PATCH', headers, body: '{"y":2}' });
    expect(patched.text).toBe('{"x":1,"y":2}');
  });
});
