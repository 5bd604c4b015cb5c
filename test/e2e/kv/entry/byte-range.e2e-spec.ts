import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask } from '../../../support/http.js';
import { expectProblem, stored } from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

const VALUE = '0123456789';

describeOn(ENGINES)('a part of a value, $name', ({ start }) => {
  let target: Target;
  let etag: string;
  beforeAll(async () => {
    target = await start();
    etag = await stored(target.port, 'ten', VALUE);
    await stored(target.port, 'empty', '');
  });
  afterAll(() => target.close());

  function part(range: string, headers: Record<string, string> = {}, method = 'GET') {
    return ask(target.port, '/kv/ten', { method, headers: { Range: range, ...headers } });
  }

  test.each([
    ['bytes=0-0', '0', '0-0'],
    ['bytes=0-3', '0123', '0-3'],
    ['bytes=5-', '56789', '5-9'],
    ['bytes=9-9', '9', '9-9'],
    ['bytes=8-100', '89', '8-9'],
    ['bytes=0-99999999999999999999', VALUE, '0-9'],
    ['bytes=-3', '789', '7-9'],
    ['bytes=-10', VALUE, '0-9'],
    ['bytes=-99999999999999999999', VALUE, '0-9'],
    ['BYTES=2-4', '234', '2-4'],
    ['bytes=00-003', '0123', '0-3'],
  ])('%s is 206', async (range, text, positions) => {
    const answer = await part(range);
    expect(answer).toMatchObject({ status: 206, text });
    expect(answer.headers).toMatchObject({
      'content-range': `bytes ${positions}/10`,
      'content-length': String(text.length),
      'content-type': 'text/plain; charset=utf-8',
      etag,
      'cache-control': 'no-cache',
      'content-security-policy': expect.stringContaining('sandbox'),
    });
  });

  test.each(['bytes=10-', 'bytes=10-20', 'bytes=99999999999999999999-', 'bytes=-0'])(
    '%s is 416 with the size',
    async (range) => {
      const answer = await part(range);
      expectProblem(answer, 416, 'range-not-satisfiable');
      expect(answer.headers['content-range']).toBe('bytes */10');
    },
  );

  test('of an empty value is 416', async () => {
    const answer = await ask(target.port, '/kv/empty', { headers: { Range: 'bytes=0-' } });
    expectProblem(answer, 416, 'range-not-satisfiable');
    expect(answer.headers['content-range']).toBe('bytes */0');
  });

  test.each([
    'bytes=0-1,3-4',
    'bytes=3-1',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=0x1-2',
    'bytes=-1-2',
    'bytes',
    'items=0-1',
    '0-1',
    ' ',
  ])('"%s" is answered with the whole', async (range) => {
    const answer = await part(range);
    expect(answer).toMatchObject({ status: 200, text: VALUE });
    expect(answer.headers).not.toHaveProperty('content-range');
  });

  test('is for GET only', async () => {
    const head = await part('bytes=0-1', {}, 'HEAD');
    expect(head.status).toBe(200);
    expect(head.headers['content-length']).toBe('10');
    expect((await part('bytes=50-', {}, 'HEAD')).status).toBe(200);
  });

  test('comes after the conditions', async () => {
    expect((await part('bytes=50-', { 'If-None-Match': etag })).status).toBe(304);
    expect((await part('bytes=50-', { 'If-Match': '"x"' })).status).toBe(412);
    expect((await part('bytes=0-1', { 'If-Match': etag })).status).toBe(206);
    expect((await part('bytes=0-1', { 'If-None-Match': '"x"' })).status).toBe(206);
  });

  test('with If-Range is only given of the value that is meant', async () => {
    expect(await part('bytes=0-1', { 'If-Range': etag })).toMatchObject({ status: 206, text: '01' });
    const now = new Date(Date.now() + 5000).toUTCString();
    const modified = (await ask(target.port, '/kv/ten')).headers['last-modified']!;
    // A date has whole seconds, in which a value can change twice, so that none is strong enough.
    for (const validator of ['"other"', `W/${etag}`, etag.slice(1, -1), 'x', '*', now, modified]) {
      expect(await part('bytes=0-1', { 'If-Range': validator })).toMatchObject({ status: 200, text: VALUE });
      expect((await part('bytes=50-', { 'If-Range': validator })).status).toBe(200);
    }
  });

  test('by part is the whole', async () => {
    const parts = await Promise.all(
      Array.from(VALUE, async (_, i) => (await part(`bytes=${i}-${i}`, { 'If-Range': etag })).text),
    );
    expect(parts.join('')).toBe(VALUE);
  });
});
