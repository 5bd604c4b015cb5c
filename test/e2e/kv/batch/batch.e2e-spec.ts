import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../../support/http.js';
import {
  batch,
  expectProblem,
  JSON_TYPE,
  pathOf,
  put,
  stored,
  valueOf,
  type Problem,
} from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';
import { MALFORMED } from './batch.cases.js';

interface Result {
  readonly status: number;
  readonly etag?: string;
  readonly type?: string;
  readonly expires?: string | null;
  readonly value?: string;
  readonly base64?: string;
  readonly problem?: Problem;
}

const TEXT = 'text/plain; charset=utf-8';
// Keys that share a tag: on Redis an atomic batch needs that.
const tied = (name: string) => `{t}${name}`;
const [THERE, ABSENT, FIRST] = [tied('there'), tied('absent'), tied('first')];
const MiB = 2 ** 20;
const OF_MALFORMED = ['invalid-batch', 'invalid-key', 'invalid-type', 'invalid-json'];

function results(answer: Answer): Result[] {
  expect(answer.status).toBe(200);
  expect(answer.headers['cache-control']).toBe('no-store');
  return (JSON.parse(answer.text) as { results: Result[] }).results;
}

describeOn([...ENGINES, ...CLUSTERS])('a batch, $name', ({ start, lacks }) => {
  let target: Target;
  let tag: string;
  beforeAll(async () => {
    target = await start();
  });
  beforeEach(async () => {
    await ask(target.port, '/kv?confirm=all', { method: 'DELETE' });
    tag = (await stored(target.port, THERE, '7')).replaceAll('"', '');
  });
  afterAll(() => target.close());

  async function count(): Promise<number> {
    return Number((await ask(target.port, '/kv', { method: 'HEAD' })).headers['kv-count']);
  }

  function raw(body: string | Buffer, headers: Record<string, string> = JSON_TYPE): Promise<Answer> {
    return ask(target.port, '/batch', { method: 'POST', headers, body });
  }

  test('touch changes an expiry on the conditions it names, and nothing else', async () => {
    const [touched, tested, never, wrong, gone] = results(
      await batch(
        target.port,
        [
          { op: 'touch', key: THERE, ttl: '1h', ifMatch: tag },
          { op: 'touch', key: THERE, ttl: 500, ifMatch: '*' },
          { op: 'touch', key: THERE, expires: null },
          { op: 'touch', key: THERE, ttl: '1h', ifNoneMatch: '*' },
          { op: 'touch', key: ABSENT, ttl: '1h', ifMatch: tag },
        ],
        false,
      ),
    );
    expect(touched).toEqual({
      status: 200,
      etag: expect.any(String),
      type: TEXT,
      expires: expect.any(String),
    });
    expect(touched!.etag).not.toBe(tag);
    expect(Date.parse(String(touched!.expires))).toBeGreaterThan(Date.now());
    expect(tested!.status).toBe(200);
    expect(never).toMatchObject({ status: 200, expires: null });
    expect(wrong).toMatchObject({ status: 412, problem: { etag: never!.etag } });
    expect(gone).toMatchObject({ status: 404, problem: { code: 'missing-key' } });
    expect(await valueOf(target.port, THERE)).toBe('7');
  });

  test('a touch of an absent key undoes an atomic batch: 404 with its index', async () => {
    const ops = [
      { op: 'put', key: FIRST, value: 'x' },
      { op: 'touch', key: FIRST, ttl: '1h' },
      { op: 'touch', key: ABSENT, ttl: '1h' },
    ];
    expect(expectProblem(await batch(target.port, ops), 404, 'missing-key')).toMatchObject({ index: 2 });
    expect(await valueOf(target.port, FIRST)).toBeUndefined();
    expect(results(await batch(target.port, ops.slice(0, 2))).map(({ status }) => status)).toEqual([
      201, 200,
    ]);
  });

  test('answers each operation as the single call would', async () => {
    const all = results(
      await batch(target.port, [
        { op: 'check', key: THERE, ifMatch: tag },
        { op: 'put', key: tied('new'), value: 'x', ttl: '60s', ifNoneMatch: '*' },
        { op: 'put', key: tied('new'), value: 'y' },
        { op: 'get', key: tied('new') },
        { op: 'get', key: ABSENT },
        { op: 'incr', key: THERE, by: 5 },
        { op: 'incr', key: tied('n') },
        { op: 'delete', key: THERE },
        { op: 'delete', key: THERE },
        { op: 'check', key: THERE, ifNoneMatch: '*' },
        { op: 'put', key: tied('bytes'), base64: '/wA=', type: 'image/png' },
        { op: 'get', key: tied('bytes') },
      ]),
    );
    expect(all.map(({ status }) => status)).toEqual([
      204, 201, 200, 200, 404, 200, 201, 204, 204, 204, 201, 200,
    ]);
    expect(all[0]).toEqual({ status: 204 });
    expect(Date.parse(String(all[1]!.expires))).toBeGreaterThan(Date.now());
    expect(all[2]).toEqual({ status: 200, etag: all[3]!.etag, type: TEXT, expires: null });
    expect(all[3]).toMatchObject({ value: 'y', type: TEXT, expires: null });
    expect(all[4]!.problem).toMatchObject({
      code: 'missing-key',
      status: 404,
      type: '/problems/missing-key',
    });
    expect(all[5]).toMatchObject({ value: '12' });
    expect(all[6]).toMatchObject({ value: '1', type: TEXT });
    expect(all[11]).toMatchObject({ base64: '/wA=', type: 'image/png' });
    const tags = [1, 2, 5, 6, 10].map((index) => all[index]!.etag);
    expect(new Set(tags).size).toBe(5);
  });

  test.each<[string, object, number, string]>([
    ['check', { op: 'check', key: THERE, ifMatch: 'x' }, 412, 'precondition-failed'],
    ['check of an absent key', { op: 'check', key: ABSENT, ifMatch: '*' }, 412, 'precondition-failed'],
    ['check that it is absent', { op: 'check', key: THERE, ifNoneMatch: '*' }, 412, 'precondition-failed'],
    ['put', { op: 'put', key: THERE, value: 'x', ifNoneMatch: '*' }, 412, 'precondition-failed'],
    ['delete', { op: 'delete', key: ABSENT, ifMatch: '*' }, 412, 'precondition-failed'],
    ['incr', { op: 'incr', key: THERE, ifMatch: 'W/"x"' }, 412, 'precondition-failed'],
    ['incr of text', { op: 'incr', key: FIRST }, 409, 'not-an-integer'],
    ['overflow', { op: 'incr', key: THERE, by: '9223372036854775807' }, 409, 'integer-overflow'],
  ])('is all or nothing: a %s that fails undoes the rest', async (_name, failing, status, code) => {
    const good = { op: 'put', key: FIRST, value: 'x' };
    const more = { op: 'delete', key: THERE };
    const answer = await batch(target.port, [good, { op: 'get', key: ABSENT }, failing, more]);
    expect(expectProblem(answer, status, code)).toMatchObject({ index: 2 });
    expect(await count()).toBe(1);
    expect(`"${tag}"`).toBe((await ask(target.port, pathOf(THERE))).headers.etag);

    const mixed = results(await batch(target.port, [good, failing, more], false));
    expect(mixed.map((result) => result.status)).toEqual([201, status, 204]);
    expect(mixed[1]).toEqual({ status, problem: expect.objectContaining({ code, status }) });
    expect(await valueOf(target.port, FIRST)).toBe('x');
    expect(await valueOf(target.port, THERE)).toBeUndefined();
  });

  test('over keys without a common tag is done, or refused whole where the engine cannot', async () => {
    const keys = ['x', '{x}y', 'z', '{t}z'];
    const ops = [...keys, 'x'].map((key) => ({ op: 'put', key, value: 'v' }));
    const answer = await batch(target.port, ops);
    if (lacks.includes('atomicAcrossKeys')) {
      const problem = expectProblem(answer, 422, 'cross-slot');
      expect(problem).toMatchObject({ keys, detail: expect.stringContaining('{tag}') });
      expect(await count()).toBe(1);
    } else {
      expect(results(answer).map(({ status }) => status)).toEqual([201, 201, 201, 201, 200]);
    }
    expect(results(await batch(target.port, ops, false))).toHaveLength(5);
    expect(await count()).toBe(5);
  });

  test('names the current tag where a condition fails', async () => {
    const answer = await batch(target.port, [{ op: 'check', key: THERE, ifMatch: 'x' }]);
    expect(expectProblem(answer, 412, 'precondition-failed')).toMatchObject({ etag: tag, index: 0 });
  });

  test('takes tags as listings give them and as headers do', async () => {
    for (const ifMatch of [tag, `"${tag}"`, '*'])
      expect(results(await batch(target.port, [{ op: 'check', key: THERE, ifMatch }]))).toHaveLength(1);
    const list = `"other", W/"x" ,"${tag}"`;
    for (const condition of [{ ifMatch: list }, { ifNoneMatch: '"other", W/"x"' }])
      expect(results(await batch(target.port, [{ op: 'check', key: THERE, ...condition }]))).toHaveLength(1);
    for (const condition of [{ ifMatch: `W/"${tag}"` }, { ifNoneMatch: `W/"${tag}"` }, { ifNoneMatch: list }])
      expectProblem(
        await batch(target.port, [{ op: 'check', key: THERE, ...condition }]),
        412,
        'precondition-failed',
      );
  });

  test.each<[unknown, string]>([
    ['text', 'text'],
    ['', ''],
    ['\ufeff\0é🐦', '\ufeff\0é🐦'],
  ])('stores the string %j as text', async (value, text) => {
    await batch(target.port, [{ op: 'put', key: 'k', value }]);
    const answer = await ask(target.port, '/kv/k');
    expect(answer).toMatchObject({ text, headers: { 'content-type': TEXT } });
  });

  test.each([
    'null',
    'true',
    '5',
    '{}',
    '[]',
    '{"a":[1,{"b":null}]}',
    '12345678901234567890',
    '123456789.123456789',
    '0.1234567890123456789',
    '[1e400,-1E-400,1.50,-0,0.00000001,100000000000000000000000]',
    '{"n":1234567890123456789,"s":"1234567890123456789 \\" 1e5"}',
    '{"1234567890123456789":1e2}',
    '"\\ud800"'.replace(/^/, '[').concat(']'),
    '{"\\u0010binary-data\\u0002":{"0":1}}',
    '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}',
  ])('stores other JSON as its compact text, digit by digit: %s', async (json) => {
    const spaced = json.replaceAll(',"', ' , "').replaceAll('":', '" : ');
    const answer = await raw(`{"ops":[{"op":"put","key":"k","value": ${spaced} }]}`);
    expect(results(answer)).toMatchObject([{ status: 201, type: 'application/json' }]);
    const get = await ask(target.port, '/kv/k');
    expect(get.headers['content-type']).toBe('application/json');
    expect(get.text.toLowerCase()).toBe(json.toLowerCase());
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test('adds by number and by string, to the last digit', async () => {
    await put(target.port, 'n', '0');
    const amounts = ['9007199254740993', '"9214364837600034814"', '-1', '"-1"', '"+2"', '"0"'];
    const answer = await raw(
      `{"ops":[${amounts.map((by) => `{"op":"incr","key":"n","by":${by}}`).join(',')}]}`,
    );
    expect(results(answer).map(({ value }) => value)).toEqual([
      '9007199254740993',
      '9223372036854775807',
      '9223372036854775806',
      '9223372036854775805',
      '9223372036854775807',
      '9223372036854775807',
    ]);
  });

  test.each(MALFORMED)('with %s is 400 and names its place, and nothing is done', async (_name, op) => {
    const ops = [{ op: 'put', key: FIRST, value: 'x' }, op as object, { op: 'delete', key: THERE }];
    const answer = await batch(target.port, ops);
    expect(answer.status).toBe(400);
    const problem = JSON.parse(answer.text) as Problem;
    expect(expectProblem(answer, 400, problem.code)).toMatchObject({ index: 1 });
    expect(OF_MALFORMED).toContain(problem.code);
    expect(await count()).toBe(1);
  });

  test.each(MALFORMED)(
    'that is a pipeline, with %s: 400 in its place, and the others are done',
    async (_name, op) => {
      const ops = [{ op: 'put', key: FIRST, value: 'x' }, op as object, { op: 'delete', key: THERE }];
      const [first, second, third] = results(await batch(target.port, ops, false));
      expect([first!.status, second!.status, third!.status]).toEqual([201, 400, 204]);
      expect(OF_MALFORMED).toContain(second!.problem!.code);
      expect(await valueOf(target.port, FIRST)).toBe('x');
      expect(await count()).toBe(1);
    },
  );

  test('that is a pipeline of nothing but malformed operations tells of each', async () => {
    const found = results(
      await batch(
        target.port,
        [
          { op: 'put', key: '' },
          { op: 'set', key: 'k' },
        ],
        false,
      ),
    );
    expect(found.map(({ status }) => status)).toEqual([400, 400]);
  });

  test.each<[object, string]>([
    [{ op: 'put', key: 'k', value: 'x', ttl: 0 }, 'invalid-batch'],
    [{ op: 'incr', key: 'k', by: 1.5 }, 'invalid-batch'],
    [{ op: 'put', key: 'k' }, 'invalid-batch'],
    [{ op: 'put', key: 'k', base64: 'eA' }, 'invalid-batch'],
    [{ op: 'put', key: 'k', value: 'x', type: 5 }, 'invalid-batch'],
    [{ op: 'get', key: '' }, 'invalid-key'],
    [{ op: 'put', key: 'k', value: 'x', type: 'text/*' }, 'invalid-type'],
    [{ op: 'put', key: 'k', value: '{', type: 'application/json' }, 'invalid-json'],
  ])('tells a malformed operation from a key, a type and a value that are none: %j', async (op, code) => {
    expect(expectProblem(await batch(target.port, [op]), 400, code)).toMatchObject({ index: 0 });
  });

  test('is refused with a condition in a header: each operation has its own', async () => {
    for (const name of ['If-Match', 'If-None-Match', 'If-Unmodified-Since']) {
      const headers = { ...JSON_TYPE, [name]: '*' };
      const answer = await raw('{"ops":[{"op":"delete","key":"there"}]}', headers);
      expect(expectProblem(answer, 400, 'invalid-condition').detail).toContain('`ifMatch`');
    }
    expect(await count()).toBe(1);
  });

  test('stores JSON with its members in their order, repeated ones too', async () => {
    await raw('{"ops":[{"op":"put","key":"k","value":{"b":1, "10":2,"b":"\\u0041 \\"" }}]}');
    expect(await valueOf(target.port, 'k')).toBe('{"b":1,"10":2,"b":"\\u0041 \\""}');
  });

  test.each<[string, number]>([
    ['{"ops":[{"op":"check","key":"k","ifMatch":"*"}],"a":[{}],"b":{}}', 400],
    [`{${'"x":1,'.repeat(50_000)}"ops":[{"op":"check","key":"k","ifMatch":"*"}]}`, 400],
    [`{"ops":[{"op":"check","ifMatch":"*","${'k'.repeat(2000)}":1,"key":"k"}]}`, 400],
    [`{"ops":[{"op":"check","ifMatch":"*",${'"key":"there",'.repeat(50_000)}"key":"k"}]}`, 412],
    ['{"ops":[{"op":"check","ifMatch":"*","k\\u0065y":"k"}]}', 412],
  ])('finds each member, however many and long they are: %.80s', async (body, status) => {
    expect((await raw(body)).status).toBe(status);
  });

  test('takes the last of members with the same name', async () => {
    await raw('{"ops":[{"op":"put","key":"k","value":"1","value":"2","key":"l"}]}');
    expect([await valueOf(target.port, 'k'), await valueOf(target.port, 'l')]).toEqual([undefined, '2']);
  });

  test.each([
    ['{"ops":[]}', 'invalid-batch'],
    ['{}', 'invalid-batch'],
    ['{"ops":{}}', 'invalid-batch'],
    ['{"ops":null}', 'invalid-batch'],
    ['[]', 'invalid-batch'],
    ['null', 'invalid-batch'],
    ['5', 'invalid-batch'],
    ['12345678901234567890', 'invalid-batch'],
    ['{"ops":[{"op":"get","key":"k"}],"atomic":"true"}', 'invalid-batch'],
    ['{"ops":[{"op":"get","key":"k"}],"atomic":null}', 'invalid-batch'],
    ['{"ops":[{"op":"get","key":"k"}],"x":1}', 'invalid-batch'],
    ['', 'invalid-json'],
    ['{"ops":[', 'invalid-json'],
    ['{"ops":[{"op":"get","key":1234567890123456]}', 'invalid-json'],
    ['\ufeff{"ops":[]}', 'invalid-json'],
    ['NaN', 'invalid-json'],
    [`{"ops":${'['.repeat(200)}${']'.repeat(200)}}`, 'invalid-json'],
    [Buffer.from([0x22, 0xff, 0x22]), 'invalid-json'],
  ])('that is none is 400: %s', async (body, code) => {
    expectProblem(await raw(body), 400, code);
  });

  test('that is none is found to be so however long it is', async () => {
    expectProblem(await raw(`1234567890123456 "${'\\"'.repeat(MiB)}`), 400, 'invalid-json');
  });

  test.each(['application/xml', 'multipart/form-data', 'application/x-ndjson', 'x'])(
    'of type %s is 415',
    async (type) => {
      const answer = await raw('{"ops":[]}', { 'Content-Type': type });
      expectProblem(answer, 415, 'unsupported-type');
    },
  );

  test('takes no parameters', async () => {
    const answer = await ask(target.port, '/batch?atomic=false', { method: 'POST', body: '{}' });
    expectProblem(answer, 400, 'invalid-parameter');
  });

  test('may have 1000 operations', async () => {
    const ops = Array.from({ length: 1001 }, (_, i) => ({ op: 'put', key: tied(`k${i}`), value: 'v' }));
    const problem = expectProblem(await batch(target.port, ops), 413, 'body-too-large');
    expect(problem['limit']).toBe(1000);
    expect(await count()).toBe(1);
    expect(results(await batch(target.port, ops.slice(1)))).toHaveLength(1000);
    expect(await count()).toBe(1001);
  });

  test('may have 16 MiB, and a long text beside a long number', async () => {
    const fitting = (bytes: number) => {
      const head =
        '{"ops":[{"op":"incr","key":"{t}n","by":1234567890123456},{"op":"put","key":"{t}k","value":"';
      return `${head}${'x'.repeat(bytes - head.length - 4)}"}]}`;
    };
    const problem = expectProblem(await raw(fitting(16 * MiB + 1)), 413, 'body-too-large');
    expect(problem['limit']).toBe(16 * MiB);
    const answer = await raw(fitting(16 * MiB));
    expect(results(answer).map(({ status }) => status)).toEqual([201, 201]);
  });

  test('may read 16 MiB of values', async () => {
    await put(target.port, tied('half'), Buffer.alloc(8 * MiB, 'x'));
    const get = { op: 'get', key: tied('half') };
    expect(results(await batch(target.port, [get, get]))).toHaveLength(2);
    const refused = await batch(target.port, [{ op: 'delete', key: THERE }, get, get, get]);
    expect(expectProblem(refused, 413, 'body-too-large')).toMatchObject({ limit: 16 * MiB, index: 3 });
    expect(await valueOf(target.port, THERE)).toBe('7');
    const mixed = results(await batch(target.port, [get, get, get], false));
    expect(mixed.map(({ status }) => status)).toEqual([200, 200, 413]);
    // What may be read in all, and not what was left of it.
    expect(mixed[2]).toMatchObject({ problem: { detail: expect.stringContaining(`${16 * MiB} bytes`) } });
  });
});

describeOn(ENGINES)('a batch where values are small, $name', ({ start }) => {
  test('may still be large itself, and names the setting that its values pass', async () => {
    const target = await start({ MAX_VALUE_BYTES: '100' });
    const op = (length: number) => ({ op: 'put', key: 'k', value: 'x'.repeat(length) });
    expect(
      (
        await batch(
          target.port,
          Array.from({ length: 1000 }, () => op(100)),
        )
      ).status,
    ).toBe(200);
    const problem = expectProblem(await batch(target.port, [op(1), op(101)]), 413, 'value-too-large');
    expect(problem).toMatchObject({ limit: 100, setting: 'MAX_VALUE_BYTES', index: 1 });
    await target.close();
  });
});
