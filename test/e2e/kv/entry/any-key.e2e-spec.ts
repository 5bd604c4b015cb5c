import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyKey } from '../../../support/any-key.js';
import { ask, getPath } from '../../../support/http.js';
import { batch, NDJSON, pathOf, twinOf, type Description, type Page } from '../../../support/kv.js';
import { shortOrLong } from '../../../support/long-run.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

const RUNS = shortOrLong(40, 400);
const EXPORT = { Accept: 'application/x-ndjson' };

describeOn(ENGINES)('any key, $name', ({ start }) => {
  let target: Target;
  let copy: Target;
  beforeAll(async () => {
    [target, copy] = await Promise.all([start(), start()]);
  });
  afterAll(() => Promise.all([target.close(), copy.close()]));

  async function get(path: string): Promise<string> {
    const answer = await ask(target.port, path);
    expect(answer.status).toBe(200);
    return answer.text;
  }

  test('round-trips on every route that has keys', async () => {
    const stored = new Map<string, string>();
    const property = fc.asyncProperty(anyKey(), fc.boolean(), async (key, byPath) => {
      const value = `value of ${key}`;
      const put = await ask(target.port, byPath ? pathOf(key) : twinOf(key), { method: 'PUT', body: value });
      expect(put.status).toBe(stored.has(key) ? 200 : 201);
      expect((JSON.parse(put.text) as Description).key).toBe(key);
      stored.set(key, value);
      if (put.status === 201) expect(await get(put.headers.location!)).toBe(value);
      expect(await get(pathOf(key))).toBe(value);
      expect(await get(twinOf(key))).toBe(value);
      expect(await get(getPath(key))).toBe(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`);
      const { results } = JSON.parse((await batch(target.port, [{ op: 'get', key }])).text) as {
        results: unknown[];
      };
      expect(results).toMatchObject([{ status: 200, value }]);
      const page = JSON.parse(await get(`/kv?values=true&limit=1&prefix=${encodeURIComponent(key)}`)) as Page;
      expect(page.items[0]).toMatchObject({ key, value });
    });
    await fc.assert(property, { numRuns: RUNS });

    const keys = [...stored.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const listed: string[] = [];
    for (let path: string | undefined = '/kv?limit=7'; path !== undefined;) {
      expect(listed.length).toBeLessThanOrEqual(keys.length);
      const answer = await ask(target.port, path);
      listed.push(...(JSON.parse(answer.text) as Page).items.map(({ key }) => key));
      path = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
    }
    expect(listed).toEqual(keys);

    const exported = await ask(target.port, '/kv', { headers: EXPORT });
    const imported = await ask(copy.port, '/kv', { method: 'POST', headers: NDJSON, body: exported.bytes });
    expect(JSON.parse(imported.text)).toMatchObject({ created: keys.length, errorCount: 0, end: true });
    const whole = await ask(copy.port, '/');
    expect(whole.text === (await get('/'))).toBe(true);
    const members = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(stored.get(key))}`);
    expect(whole.text === `{${members.join(',')}}`).toBe(true);

    for (const [index, key] of keys.entries()) {
      const path = index % 2 === 0 ? pathOf(key) : twinOf(key);
      expect((await ask(target.port, path, { method: 'DELETE' })).status).toBe(204);
    }
    expect(await get('/')).toBe('{}');
  });
});
