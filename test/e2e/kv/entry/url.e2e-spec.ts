import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask } from '../../../support/http.js';
import {
  expectProblem,
  JSON_TYPE,
  pathOf,
  put,
  stored,
  twinOf,
  valueOf,
  type Description,
} from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

const ALLOW = 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS';

describeOn(ENGINES)('the URL of an entry, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
    await stored(target.port, 'a', 'v');
  });
  afterAll(() => target.close());

  test.each([
    ['/kv/%61', 'a'],
    ['/kv/%2561', '%61'],
    ['/kv/a+b', 'a+b'],
    ['/kv?key=a+b', 'a b'],
    ['/kv?key=a%2Bb', 'a+b'],
    ['/kv/a/../b', 'a/../b'],
    ['/kv/.', '.'],
    ['/kv/a%2fb', 'a/b'],
    ['/kv/a%2Fb/', 'a/b/'],
    ['/kv/kv/x', 'kv/x'],
    ['/kv/a=b&c=d', 'a=b&c=d'],
    ['http://127.0.0.1/kv/absolute', 'absolute'],
  ])('%s names %j', async (path, key) => {
    const answer = await ask(target.port, path, { method: 'PUT', body: 'v' });
    expect((JSON.parse(answer.text) as Description).key).toBe(key);
  });

  test.each(['/kv/', '/kv/%', '/kv/%4', '/kv/%zz', '/kv/%FF', '/kv/%C3%28', '/kv/%ED%A0%80', '/kv/%C0%80'])(
    '%s is 400 invalid-key for every method',
    async (path) => {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
        const query = method === 'PATCH' ? '?incr=1' : '';
        expectProblem(await ask(target.port, path + query, { method }), 400, 'invalid-key');
      }
    },
  );

  test('a key of 1024 bytes is taken, a longer one is 400 for every method', async () => {
    for (const character of ['k', 'é', '中', '🐦']) {
      const bytes = Buffer.byteLength(character);
      const key = character.repeat(1024 / bytes) + 'p'.repeat(1024 % bytes);
      expect(Buffer.byteLength(key)).toBe(1024);
      expect((await put(target.port, key, 'v')).status).toBe(201);
      expect(await valueOf(target.port, key)).toBe('v');
      for (const path of [pathOf(`${key}k`), twinOf(`${key}k`), pathOf(key.repeat(3))]) {
        for (const method of ['GET', 'PUT', 'DELETE'])
          expectProblem(await ask(target.port, path, { method }), 400, 'invalid-key');
        const query = path.includes('?') ? '&incr=1' : '?incr=1';
        expectProblem(await ask(target.port, path + query, { method: 'PATCH' }), 400, 'invalid-key');
      }
    }
  });

  test.each([
    ['GET', '/kv/a?ttl=60'],
    ['GET', '/kv/a?x'],
    ['GET', '/kv/a?key=b'],
    ['GET', '/kv/a?='],
    ['GET', '/kv/a?%zz=1'],
    ['GET', '/kv?key='],
    ['GET', '/kv?key'],
    ['GET', '/kv?key=a&key=b'],
    ['GET', '/kv?key=a&prefix=b'],
    ['GET', '/kv?prefix=b&key=a'],
    ['GET', '/kv?key=%FF'],
    ['GET', '/kv?key=%'],
    ['GET', '/kv?key=a&'],
    ['GET', '/kv?&key=a'],
    ['PUT', '/kv?key=a&&ttl=60'],
    ['GET', '/kv?key[]=a'],
    ['HEAD', '/kv?key=a&values=true'],
    ['PUT', '/kv/a?tll=60'],
    ['PUT', '/kv/a?TTL=60'],
    ['PUT', '/kv/a?ttl='],
    ['PUT', '/kv/a?ttl'],
    ['PUT', '/kv/a?ttl=60&ttl=60'],
    ['PUT', '/kv/a?ttl=60&'],
    ['PUT', '/kv/a?incr=1'],
    ['PATCH', '/kv/a'],
    ['PATCH', '/kv/a?incr='],
    ['PATCH', '/kv/a?by=1'],
    ['PATCH', '/kv?key=a'],
    ['DELETE', '/kv/a?ttl=60'],
    ['DELETE', '/kv/a?confirm=all'],
    ['DELETE', '/kv?key=a&confirm=all'],
  ])('%s %s is 400 and changes nothing', async (method, path) => {
    const answer = await ask(target.port, path, { method });
    expect(answer.status).toBe(400);
    if (method !== 'HEAD') {
      const { detail } = expectProblem(answer, 400, 'invalid-parameter');
      expect(detail).toMatch(/It takes [a-z`, -]+\.$|A PATCH needs/);
    }
    expect(await valueOf(target.port, 'a')).toBe('v');
  });

  test.each([
    ['/kv?key=', '`key` is empty. It takes one `key`.'],
    ['/kv?%6Bey=%FF', /^The query has a malformed escape/],
    ['/kv?%6Bey=a&key=b', '`key` is given twice. It takes one `key`.'],
    ['/kv?prefix=&%6Bey=a', '`key` names one entry and `prefix` a range. It takes one `key`.'],
    [`/kv?%6Bey=${'k'.repeat(1025)}`, /^A key must have 1 to 1024 bytes/],
  ])('%.30s is refused in the same words whatever the method', async (path, detail) => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const url = method === 'PATCH' ? `${path}&incr=1` : path;
      const answer = await ask(target.port, url, { method });
      expect({ method, ...(JSON.parse(answer.text) as object) }).toMatchObject({
        method,
        status: 400,
        detail: expect.stringMatching(detail),
      });
    }
  });

  test('OPTIONS tells the methods of every path and never writes', async () => {
    for (const path of ['/kv/a', '/kv/absent', '/kv?key=a', '/kv/a?ttl=1']) {
      const answer = await ask(target.port, path, { method: 'OPTIONS' });
      expect(answer).toMatchObject({ status: 204, text: '' });
      expect(answer.headers).toMatchObject({
        allow: ALLOW,
        'accept-patch': 'application/merge-patch+json',
      });
    }
    const collection = await ask(target.port, '/kv', { method: 'OPTIONS' });
    expect(collection.headers.allow).toBe('GET, HEAD, PATCH, POST, DELETE, OPTIONS');
    expect((await ask(target.port, '/batch', { method: 'OPTIONS' })).headers.allow).toBe('POST, OPTIONS');
    expect(await valueOf(target.port, 'absent')).toBeUndefined();
  });

  test.each([
    ['POST', '/kv/a', ALLOW],
    ['POST', '/kv?key=a', ALLOW],
    ['PROPFIND', '/kv/a', ALLOW],
    ['PROPFIND', '/kv?key=a', ALLOW],
    ['TRACE', '/kv/a', ALLOW],
    ['TRACE', '/kv?key=a', ALLOW],
    ['TRACE', '/kv?prefix=a', 'GET, HEAD, PATCH, POST, DELETE, OPTIONS'],
    ['PROPFIND', '/kv', 'GET, HEAD, PATCH, POST, DELETE, OPTIONS'],
    ['PUT', '/kv', 'GET, HEAD, PATCH, POST, DELETE, OPTIONS'],
    ['PUT', '/kv?prefix=a', 'GET, HEAD, PATCH, POST, DELETE, OPTIONS'],
    ['HEAD', '/set#?a=x', 'GET, OPTIONS'],
    ['GET', '/batch', 'POST, OPTIONS'],
    ['HEAD', '/batch', 'POST, OPTIONS'],
    ['PUT', '/batch', 'POST, OPTIONS'],
  ])('%s %s is 405 with Allow', async (method, path, allow) => {
    const body = ['HEAD', 'TRACE'].includes(method) ? undefined : 'x';
    const answer = await ask(target.port, path, { method, body });
    expect(answer.headers.allow).toBe(allow);
    if (method === 'HEAD') expect(answer.status).toBe(405);
    else expectProblem(answer, 405, 'method-not-allowed');
  });

  test('shows up on the original routes, which show all types', async () => {
    await stored(target.port, 'n', '{ "big": 12345678901234567890 }', JSON_TYPE);
    await stored(target.port, 'b', Buffer.from([0xff]), { 'Content-Type': 'image/png' });
    const text = async (key: string) => (await ask(target.port, `/get?key=${key}`)).text;
    expect(await text('a')).toBe('{"a":"v"}');
    expect(await text('n')).toBe('{"n":{ "big": 12345678901234567890 }}');
    expect(await text('b')).toBe('{"b":"data:image/png;base64,/w=="}');
  });

  test.each([
    ['application/json', '{ "a": 1 }', '{ "a": 1 }'],
    ['application/json; charset=utf-8', '[1.0]', '[1.0]'],
    ['Application/JSON;a="b, c"', '12345678901234567890', '12345678901234567890'],
    ['TEXT/Plain; charset=utf-8', 'é', '"é"'],
    ['text/csv', 'a,"b"', '"a,\\"b\\""'],
    ['application/problem+json', '{}', '"data:application/problem+json;base64,e30="'],
    ['application/jsonl', '{}', '"data:application/jsonl;base64,e30="'],
  ])('shows a value of type %s on the original routes as what it is', async (type, value, shown) => {
    await stored(target.port, 'c', value, { 'Content-Type': type });
    expect((await ask(target.port, '/kv/c')).headers['content-type']).toBe(type);
    expect((await ask(target.port, '/get?key=c')).text).toBe(`{"c":${shown}}`);
    expect((await ask(target.port, '/')).text).toContain(`"c":${shown}`);
    // And as it is shown when it is written in pieces.
    const large = `${value}${' '.repeat(300_000)}`;
    await stored(target.port, 'c', large, { 'Content-Type': type });
    const { c } = JSON.parse((await ask(target.port, '/')).text) as { c: unknown };
    expect({ c }).toEqual(JSON.parse((await ask(target.port, '/get?key=c')).text));
  });

  test('shows other bytes as a data: URL, of which fetch makes the same bytes of the same type', async () => {
    const bytes = Buffer.from([0, 0xff, 0x80, 10]);
    const shown = async (type: string) => {
      await stored(target.port, 'd', bytes, { 'Content-Type': type });
      const { d } = JSON.parse((await ask(target.port, '/get?key=d')).text) as { d: string };
      const answer = await fetch(d);
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes);
      return answer.headers.get('content-type');
    };
    for (const type of [
      'image/png',
      'application/x;a="b c"',
      'application/x;a="b;base64"',
      'application/x;a="<>{}|^:/@=[]()"',
      'application/x;a=b%41',
      "application/x-!$&'+.^_|~",
      'text/plain;charset=utf-8',
    ])
      expect(await shown(type)).toBe(type);
    expect(await shown('application/x ; a=b;; c="d ; e"')).toBe('application/x;a=b;c="d ; e"');
    // A comma, a hash and a question mark would end the type, and nothing decodes it.
    for (const type of ['application/x-a#b', 'application/x;a="b, c"', 'application/x;a="b c#d? e"'])
      expect(await shown(type)).toBe(type.replace(/[,#?]/g, encodeURIComponent));
  });
});
