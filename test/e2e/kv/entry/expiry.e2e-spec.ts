import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../support/eventually.js';
import { ask } from '../../../support/http.js';
import { batch, expectProblem, freshKey, pageOf, pathOf, stored, valueOf } from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';

const CENTURY_DAYS = 36_525;

describeOn([...ENGINES, ...CLUSTERS])('expiry, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  function put(key: string, query: string) {
    return ask(target.port, pathOf(key) + query, { method: 'PUT', body: '1' });
  }

  test.each<[string, number]>([
    ['1ms', 0.001],
    ['1500ms', 1.5],
    ['1', 1],
    ['60', 60],
    ['060', 60],
    ['90s', 90],
    ['15m', 900],
    ['2h', 7200],
    ['7d', 604_800],
    [`${CENTURY_DAYS}d`, CENTURY_DAYS * 86_400],
    [`${CENTURY_DAYS * 86_400}`, CENTURY_DAYS * 86_400],
  ])('ttl=%s ends the entry in %d s', async (ttl, seconds) => {
    const answer = await put(freshKey(), `?ttl=${ttl}`);
    const { modified, expires } = JSON.parse(answer.text) as { modified: string; expires: string };
    expect(Date.parse(expires) - Date.parse(modified)).toBe(seconds * 1000);
    expect(answer.headers['kv-expires']).toBe(expires);
  });

  const BAD = [
    '0',
    '-1',
    '0s',
    '1e308',
    'NaN',
    '10abc',
    '9007199254740992',
    '1.5',
    '1w',
    '0ms',
    '1.5ms',
    '5MS',
    '5m%20s',
    '60S',
    '+60',
    '%2060',
  ];
  BAD.push('Infinity', 'null', 'None', 'true', `${CENTURY_DAYS + 1}d`, '36525d1', '0x10', '99999999999');

  test.each(BAD)('ttl=%s is 400, and nothing is written', async (ttl) => {
    const key = freshKey();
    for (const query of [`?ttl=${ttl}`, `?ttl=${ttl}&incr=1`]) {
      const method = query.includes('incr') ? 'PATCH' : 'PUT';
      const answer = await ask(target.port, pathOf(key) + query, { method });
      expect(expectProblem(answer, 400, 'invalid-parameter').detail).toContain('ttl');
    }
    expect(await valueOf(target.port, key)).toBeUndefined();
  });

  test.each<[string, string]>([
    ['2090-01-31T12:00:00Z', '2090-01-31T12:00:00.000Z'],
    ['2090-01-31t12:00:00.5z', '2090-01-31T12:00:00.500Z'],
    ['2090-01-31T12:00:00.123999Z', '2090-01-31T12:00:00.123Z'],
    ['2090-01-31T12:00:00%2B02:00', '2090-01-31T10:00:00.000Z'],
    ['2090-01-31T20:00:00-05:30', '2090-02-01T01:30:00.000Z'],
    ['2092-02-29T00:00:00-00:00', '2092-02-29T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('expires=%s ends the entry at %s', async (expires, at) => {
    const key = freshKey();
    const answer = await put(key, `?expires=${expires}`);
    expect({ status: answer.status, expires: JSON.parse(answer.text).expires }).toEqual({
      status: 201,
      expires: at,
    });
    expect(answer.headers['kv-expires']).toBe(at);
    const touched = await ask(target.port, `${pathOf(key)}?expires=2091-01-01T00:00:00Z`, {
      method: 'PATCH',
    });
    expect(touched).toMatchObject({ status: 200, headers: { 'kv-expires': '2091-01-01T00:00:00.000Z' } });
    const counter = `${pathOf(freshKey())}?incr=1&expires=${expires}`;
    expect((await ask(target.port, counter, { method: 'PATCH' })).headers['kv-expires']).toBe(at);
    const [created, changed] = JSON.parse(
      (
        await batch(
          target.port,
          [
            { op: 'put', key: freshKey(), value: '', expires: decodeURIComponent(expires) },
            { op: 'touch', key, expires: decodeURIComponent(expires) },
          ],
          false,
        )
      ).text,
    ).results;
    expect([created.expires, changed.expires]).toEqual([at, at]);
  });

  test.each([
    '2090-02-29T00:00:00Z',
    '2090-13-01T00:00:00Z',
    '2090-00-10T00:00:00Z',
    '2090-04-31T00:00:00Z',
    '2090-01-00T00:00:00Z',
    '2090-01-31T24:00:00Z',
    '2090-01-31T12:60:00Z',
    '2090-01-31T12:00:60Z',
    '2090-01-31T12:00:00',
    '2090-01-31T12:00Z',
    '2090-01-31T12:00:00.Z',
    '2090-01-31T12:00:00%2B24:00',
    '2090-01-31T12:00:00%2B02',
    '2090-01-31',
    '2090-1-31T12:00:00Z',
    '%2B012090-01-31T12:00:00Z',
    '9999-12-31T23:59:59-01:00',
    'Thu,%2031%20Jan%202090%2012:00:00%20GMT',
    '3789547200',
    'none',
    '2001-01-31T12:00:00Z',
    '1960-01-31T12:00:00Z',
    '0001-01-01T00:00:00Z',
  ])('expires=%s is 400, and nothing is written', async (expires) => {
    const key = freshKey();
    for (const [method, query] of [
      ['PUT', `?expires=${expires}`],
      ['PATCH', `?expires=${expires}&incr=1`],
    ] as const) {
      const answer = await ask(target.port, pathOf(key) + query, { method });
      expect(expectProblem(answer, 400, 'invalid-parameter').detail).toContain('`expires`');
    }
    const ops = [{ op: 'put', key, value: '', expires: decodeURIComponent(expires) }];
    expectProblem(await batch(target.port, ops), 400, 'invalid-batch');
    expect(await valueOf(target.port, key)).toBeUndefined();
  });

  test('the sentence says what is wrong with expires: over, or a plus that became a space', async () => {
    const detail = async (query: string) =>
      expectProblem(await put(freshKey(), query), 400, 'invalid-parameter').detail;
    expect(await detail('?expires=2001-01-31T12:00:00Z')).toContain(
      'is over: 2001-01-31T12:00:00.000Z; now it is 2',
    );
    expect(await detail('?expires=2090-01-31T12:00:00+02:00')).toContain('`%2B`');
    expect(await detail('?expires=2090-01-31T12:00:00Z&ttl=60')).toContain('either `ttl` or `expires`');
    const ops = [{ op: 'put', key: freshKey(), value: '', ttl: 60, expires: '2090-01-31T12:00:00Z' }];
    expect(expectProblem(await batch(target.port, ops), 400, 'invalid-batch').detail).toContain('either');
  });

  test('a PUT clears it, keeps it, or removes it, as ttl says', async () => {
    const key = freshKey();
    const first = (await put(key, '?ttl=1h')).headers['kv-expires'];
    expect((await put(key, '?ttl=keep')).headers['kv-expires']).toBe(first);
    expect((await ask(target.port, pathOf(key))).headers['kv-expires']).toBe(first);
    expect((await put(key, '')).headers).not.toHaveProperty('kv-expires');
    expect((await put(key, '?ttl=keep')).headers).not.toHaveProperty('kv-expires');
    await put(key, '?ttl=1h');
    expect((await put(key, '?ttl=none')).headers).not.toHaveProperty('kv-expires');
    expect((await put(freshKey(), '?ttl=keep')).headers).not.toHaveProperty('kv-expires');
  });

  test('an entry whose time has run out is absent to everything', async () => {
    const path = `/kv?prefix=${encodeURIComponent('gone/')}`;
    const keys = ['read', 'count', 'create', 'match', 'delete', 'touch', 'keep', 'check'];
    const etags = new Map<string, string>();
    for (const key of keys) etags.set(key, (await put(`gone/${key}`, '?ttl=1')).headers.etag!);
    await stored(target.port, 'gone/stays', '1');
    for (const key of keys)
      await eventually(async () => (await valueOf(target.port, `gone/${key}`)) === undefined);

    const gone = (key: string) => pathOf(`gone/${key}`);
    expectProblem(await ask(target.port, gone('read')), 404, 'missing-key');
    expect((await ask(target.port, gone('read'), { method: 'HEAD' })).status).toBe(404);
    expect((await pageOf(target.port, '?prefix=gone/')).items.map(({ key }) => key)).toEqual(['gone/stays']);
    expect((await ask(target.port, path, { method: 'HEAD' })).headers['kv-count']).toBe('1');
    const exported = await ask(target.port, path, { headers: { Accept: 'application/x-ndjson' } });
    expect(exported.text.trimEnd().split('\n')).toHaveLength(2);
    expect(Object.keys(JSON.parse((await ask(target.port, '/')).text) as object)).not.toContain('gone/read');
    expect((await ask(target.port, '/get?key=gone/read')).status).toBe(400);

    const counted = await ask(target.port, `${gone('count')}?incr=5`, { method: 'PATCH' });
    expect(counted).toMatchObject({ status: 201, text: '5' });
    expect(counted.headers).not.toHaveProperty('kv-expires');
    const created = await ask(target.port, gone('create'), {
      method: 'PUT',
      headers: { 'If-None-Match': '*' },
    });
    expect(created.status).toBe(201);
    for (const tag of ['*', etags.get('match')!]) {
      const headers = { 'If-Match': tag };
      const answer = await ask(target.port, gone('match'), { method: 'PUT', headers });
      expect(expectProblem(answer, 412, 'precondition-failed')).not.toHaveProperty('etag');
    }
    expect((await ask(target.port, gone('delete'), { method: 'DELETE' })).status).toBe(204);
    expectProblem(await ask(target.port, `${gone('touch')}?ttl=1h`, { method: 'PATCH' }), 404, 'missing-key');
    const kept = await put('gone/keep', '?ttl=keep');
    expect(kept.status).toBe(201);
    expect(kept.headers).not.toHaveProperty('kv-expires');
    const tag = etags.get('check')!.replaceAll('"', '');
    const checked = await batch(target.port, [{ op: 'check', key: 'gone/check', ifMatch: tag }]);
    expectProblem(checked, 412, 'precondition-failed');
  });
});
