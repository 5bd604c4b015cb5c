import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { eventually } from '../../../support/eventually.js';
import { ask, type Answer } from '../../../support/http.js';
import {
  expectProblem,
  freshKey,
  JSON_TYPE,
  MERGE_PATCH,
  pathOf,
  stored,
  twinOf,
  valueOf,
} from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

const TEXT = 'text/plain; charset=utf-8';
const MAX = '9223372036854775807';
const MIN = '-9223372036854775808';

describeOn(ENGINES)('PATCH, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start({ MAX_VALUE_BYTES: '2000' });
  });
  afterAll(() => target.close());

  function patch(key: string, query: string, body?: string | Buffer, headers: OutgoingHttpHeaders = {}) {
    return ask(target.port, pathOf(key) + query, { method: 'PATCH', body, headers });
  }

  function incr(key: string, by: string): Promise<Answer> {
    return patch(key, `?incr=${encodeURIComponent(by)}`);
  }

  describe('?incr', () => {
    test('makes a counter that starts at 0, and adds to it', async () => {
      const key = freshKey();
      const created = await incr(key, '5');
      expect(created).toMatchObject({ status: 201, text: '5' });
      expect(created.headers).toMatchObject({ 'content-type': TEXT, location: pathOf(key) });
      const added = await incr(key, '-7');
      expect(added).toMatchObject({ status: 200, text: '-2' });
      expect(added.headers).not.toHaveProperty('location');
      expect(added.headers.etag).not.toBe(created.headers.etag);
      const get = await ask(target.port, pathOf(key));
      expect(get).toMatchObject({ text: '-2', headers: { etag: added.headers.etag, 'content-type': TEXT } });
      expect((await ask(target.port, `${twinOf(key)}&incr=2`, { method: 'PATCH' })).text).toBe('0');
    });

    test.each([
      ['9007199254740993', '1', '9007199254740994'],
      [`${MAX.slice(0, -1)}6`, '1', MAX],
      ['0', MAX, MAX],
      ['0', MIN, MIN],
      [MIN, MAX, '-1'],
      [MAX, MIN, '-1'],
      ['-1', '1', '0'],
      ['7', '0', '7'],
      ['7', '+5', '12'],
      ['7', '-0', '7'],
      ['7', '007', '14'],
    ])('%s + %s is %s, exactly', async (before, by, after) => {
      const key = freshKey();
      await stored(target.port, key, before);
      expect(await incr(key, by)).toMatchObject({ status: 200, text: after });
      expect(await valueOf(target.port, key)).toBe(after);
    });

    test.each([
      [MAX, '1'],
      [MIN, '-1'],
      [MAX, MAX],
      [MIN, MIN],
    ])('%s + %s is 409, and the value stays', async (before, by) => {
      const key = freshKey();
      await stored(target.port, key, before);
      expectProblem(await incr(key, by), 409, 'integer-overflow');
      expect(await valueOf(target.port, key)).toBe(before);
    });

    test.each([
      '',
      'x',
      '1.5',
      '1e3',
      ' 1',
      '1\n',
      '+1',
      '01',
      '-0',
      '--1',
      '0x10',
      '٣',
      '9223372036854775808',
    ])('a value that is no integer is 409, and stays: %j', async (value) => {
      const key = freshKey();
      await stored(target.port, key, value);
      expectProblem(await incr(key, '1'), 409, 'not-an-integer');
      expect(await valueOf(target.port, key)).toBe(value);
    });

    test.each(['x', '1.5', '1e3', '0x1', '--1', '1 ', 'NaN', '9223372036854775808', '-9223372036854775809'])(
      'an amount that is no 64-bit integer is 400: %s',
      async (by) => {
        const key = freshKey();
        expectProblem(await incr(key, by), 400, 'invalid-parameter');
        expect(await valueOf(target.port, key)).toBeUndefined();
      },
    );

    test('keeps the type, and takes ttl at creation only', async () => {
      const key = freshKey();
      await stored(target.port, key, '41', { 'Content-Type': 'application/json' });
      const added = await patch(key, '?incr=1&ttl=60');
      expect(added.headers['content-type']).toBe('application/json');
      expect(added.headers).not.toHaveProperty('kv-expires');
      const limited = freshKey();
      const created = await patch(limited, '?ttl=60&incr=1');
      const expires = created.headers['kv-expires'];
      // The clock of the database may be some milliseconds ahead.
      expect(Date.parse(String(expires)) - Date.now()).toBeLessThan(61_000);
      expect((await patch(limited, '?incr=1&ttl=2h')).headers['kv-expires']).toBe(expires);
      expect((await patch(limited, '?incr=1')).headers['kv-expires']).toBe(expires);
    });
  });

  describe('?ttl', () => {
    test('changes and removes the expiry, and nothing else', async () => {
      const key = freshKey();
      const etag = await stored(target.port, key, '{"a":1}', JSON_TYPE);
      const touched = await patch(key, '?ttl=1h');
      expect(touched.status).toBe(200);
      expect(touched.headers.etag).not.toBe(etag);
      const description = JSON.parse(touched.text) as Record<string, unknown>;
      expect(description).toMatchObject({ key, type: 'application/json', size: 7 });
      expect(description['expires']).toBe(touched.headers['kv-expires']);
      const kept = await patch(key, '?ttl=keep');
      expect(kept.headers['kv-expires']).toBe(touched.headers['kv-expires']);
      const freed = await patch(key, '?ttl=none');
      expect(freed.headers).not.toHaveProperty('kv-expires');
      expect(JSON.parse(freed.text)).toMatchObject({ expires: null });
      expect(await valueOf(target.port, key)).toBe('{"a":1}');
    });

    test('of an absent key is 404', async () => {
      expectProblem(await patch(freshKey(), '?ttl=60'), 404, 'missing-key');
    });
  });

  describe('with a merge patch', () => {
    /** The table of RFC 7396, appendix A. */
    const APPENDIX: [string, string, string][] = [
      ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
      ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
      ['{"a":"b"}', '{"a":null}', '{}'],
      ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
      ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
      ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
      ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
      ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
      ['["a","b"]', '["c","d"]', '["c","d"]'],
      ['{"a":"b"}', '["c"]', '["c"]'],
      ['{"a":"foo"}', 'null', 'null'],
      ['{"a":"foo"}', '"bar"', '"bar"'],
      ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
      ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
      ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
      ['{}', '{}', '{}'],
      ['{"a":[null,{"b":null}]}', '{"c":[null]}', '{"a":[null,{"b":null}],"c":[null]}'],
      ['{}', '{"__proto__":{"x":1}}', '{"__proto__":{"x":1}}'],
      ['{}', '{"a":{"__proto__":{"x":1}}}', '{"a":{"__proto__":{"x":1}}}'],
      ['{"__proto__":{"x":1}}', '{"__proto__":{"y":2}}', '{"__proto__":{"x":1,"y":2}}'],
      ['{"__proto__":{"x":1}}', '{"__proto__":null}', '{}'],
      ['{}', '{"constructor":{"prototype":{"x":1}}}', '{"constructor":{"prototype":{"x":1}}}'],
      ['{"a":1}', '{"toString":null,"hasOwnProperty":null}', '{"a":1}'],
      ['[]', '{"length":5}', '{"length":5}'],
      // No number loses a digit.
      ['{"a":12345678901234567890,"b":1e400}', '{"c":1.0}', '{"a":12345678901234567890,"b":1e400,"c":1.0}'],
      ['{"a":{"b":0.10}}', '{"a":{"c":-1E-400}}', '{"a":{"b":0.10,"c":-1E-400}}'],
      ['[1e400]', '1e400', '1e400'],
      ['{"a":1}', '{"a":-0,"s":"1e400 \\" 1.0"}', '{"a":-0,"s":"1e400 \\" 1.0"}'],
      ['{"b":1}', '{"10":2,"9":3}', '{"b":1,"10":2,"9":3}'],
      ['{"a":{"c":1,"c":2},"d":[ "\\u0041" ]}', '{"b":{}}', '{"a":{"c":1,"c":2},"d":["\\u0041"],"b":{}}'],
      // The last of members with the same name counts.
      ['{"a":1}', '{"a":2,"a":3}', '{"a":3}'],
    ];

    test.each(APPENDIX)('%s and %s make %s', async (before, change, after) => {
      const key = freshKey();
      await stored(target.port, key, before, JSON_TYPE);
      const answer = await patch(key, '', change, MERGE_PATCH);
      expect(answer).toMatchObject({ status: 200, text: after });
      expect(answer.headers['content-type']).toBe('application/json');
      const get = await ask(target.port, pathOf(key));
      expect(get).toMatchObject({ text: after, headers: { etag: answer.headers.etag } });
      expect(({} as { x?: number }).x).toBeUndefined();
    });

    test('keeps expiry and type', async () => {
      const key = freshKey();
      const type = 'application/json; charset=utf-8';
      const before = await ask(target.port, `${pathOf(key)}?ttl=1h`, {
        method: 'PUT',
        body: '{}',
        headers: { 'Content-Type': type },
      });
      const after = await patch(key, '', '{"a":1}', MERGE_PATCH);
      expect(after.headers['kv-expires']).toBe(before.headers['kv-expires']);
      expect(after.headers['content-type']).toBe(type);
    });

    test('of an absent key is 404', async () => {
      const key = freshKey();
      expectProblem(await patch(key, '', '{}', MERGE_PATCH), 404, 'missing-key');
      expect(await valueOf(target.port, key)).toBeUndefined();
    });

    test.each([TEXT, 'application/octet-stream', 'application/jsonx', 'application/ld+json'])(
      'of a value of type %s is 409',
      async (type) => {
        const key = freshKey();
        await stored(target.port, key, '{}', { 'Content-Type': type });
        expectProblem(await patch(key, '', '{"a":1}', MERGE_PATCH), 409, 'not-json');
        expect(await valueOf(target.port, key)).toBe('{}');
      },
    );

    test.each(['application/json', 'application/json-patch+json', 'text/plain', '', undefined])(
      'of type %j is 415, and told what is taken',
      async (type) => {
        const headers = type === undefined ? {} : { 'Content-Type': type };
        const answer = await patch(freshKey(), '', '{}', headers);
        expectProblem(answer, 415, 'unsupported-type');
        expect(answer.headers['accept-patch']).toBe('application/merge-patch+json');
      },
    );

    test.each([
      '',
      '{',
      '\ufeff{}',
      'NaN',
      '['.repeat(129) + ']'.repeat(129),
      Buffer.from([0x22, 0xff, 0x22]),
    ])('that is no JSON is 400: %s', async (body) => {
      const key = freshKey();
      await stored(target.port, key, '{}', JSON_TYPE);
      const chunked = { ...MERGE_PATCH, 'Transfer-Encoding': 'chunked' };
      expectProblem(await patch(key, '', body, chunked), 400, 'invalid-json');
      expect(await valueOf(target.port, key)).toBe('{}');
    });

    test('that is too large, or makes the value too large, is 413', async () => {
      const key = freshKey();
      await stored(target.port, key, `{"a":"${'x'.repeat(1500)}"}`, JSON_TYPE);
      const before = await valueOf(target.port, key);
      for (const length of [1000, 2500]) {
        const change = `{"b":"${'y'.repeat(length)}"}`;
        const problem = expectProblem(await patch(key, '', change, MERGE_PATCH), 413, 'value-too-large');
        expect(problem).toMatchObject({ limit: 2000, setting: 'MAX_VALUE_BYTES' });
      }
      expect(await valueOf(target.port, key)).toBe(before);
    });

    test('takes values and patches up to MAX_PATCH_BYTES', async () => {
      const small = await start({ MAX_PATCH_BYTES: '20' });
      const change = (body: string) =>
        ask(small.port, '/kv/a', { method: 'PATCH', body, headers: MERGE_PATCH });
      const limited = { limit: 20, setting: 'MAX_PATCH_BYTES' };
      await stored(small.port, 'a', '{"a":"xxxxxxxxxxxx"}', JSON_TYPE);
      expect(expectProblem(await change('{"b":"yyyyyyyyyyyyy"}'), 413, 'body-too-large')).toMatchObject(
        limited,
      );
      expect(await change('{"b":"yyyyyyyyyyyy"}')).toMatchObject({ status: 200 });
      expect(expectProblem(await change('{"b":null}'), 413, 'value-too-large')).toMatchObject(limited);
      expect(await valueOf(small.port, 'a')).toBe('{"a":"xxxxxxxxxxxx","b":"yyyyyyyyyyyy"}');
      await small.close();
    });

    test('is not taken beside parameters', async () => {
      const key = freshKey();
      await stored(target.port, key, '1');
      for (const query of ['?incr=1', '?ttl=60']) {
        expectProblem(await patch(key, query, '{}', MERGE_PATCH), 400, 'invalid-parameter');
        expect(await valueOf(target.port, key)).toBe('1');
      }
    });

    test('is atomic: none of 50 at once is lost', async () => {
      const key = freshKey();
      await stored(target.port, key, '{}', JSON_TYPE);
      const members = Array.from({ length: 50 }, (_, i) => [`m${i}`, i] as const);
      const edit = async ([name, i]: readonly [string, number]): Promise<void> => {
        const send = () => patch(key, '', `{"${name}":${i}}`, MERGE_PATCH);
        // In Redis others may overtake an edit too often, which is 503: nothing was applied.
        await eventually(async () => (await send()).status === 200, `the edit of ${name}`);
      };
      await Promise.all(members.map(edit));
      expect(JSON.parse((await valueOf(target.port, key))!)).toEqual(Object.fromEntries(members));
    });
  });
});
