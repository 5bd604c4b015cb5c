import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, eachAtOnce, getPath, setPath, wholeDatabase } from '../../support/http.js';
import { shortOrLong } from '../../support/long-run.js';
import type { Target } from '../../support/target.js';
import { CLUSTERS, describeOn, TARGETS } from '../../support/ways.js';
import {
  GET_CASES,
  GET_ERRORS,
  METHOD_CASES,
  OTHER_PATHS,
  SET_CASES,
  SET_ERRORS,
  type Case,
} from './original-routes.cases.js';

const MANY = shortOrLong(2_000, 20_000);

describeOn([...TARGETS, ...CLUSTERS])('the original routes, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  test('an empty database is an empty object', async () => {
    expect((await ask(target.port, '/')).text).toBe('{}');
  });

  describe.each([
    { route: '/set stores', cases: SET_CASES },
    { route: '/set refuses', cases: SET_ERRORS },
    { route: '/get answers', cases: GET_CASES },
    { route: '/get refuses', cases: GET_ERRORS },
    { route: 'other methods', cases: METHOD_CASES },
    { route: 'other paths', cases: OTHER_PATHS },
  ])('$route', ({ cases }) => {
    test.each(cases)('$rule: $path', async (row) => {
      for (const [key, value] of Object.entries(row.given ?? {})) {
        await ask(target.port, setPath(key, value));
      }
      const before = await ask(target.port, '/');
      const answer = await ask(target.port, row.path, { method: row.method });
      expect({ status: answer.status, text: answer.text, allow: answer.headers.allow }).toEqual({
        status: row.status,
        // Exact text, so that neither a further member nor another order would pass.
        text: row.error ? JSON.stringify(row.error) : row.body,
        allow: row.allow,
      });
      expect(answer.headers['content-type']).toBe(contentTypeOf(row));
      if (!row.writes) expect((await ask(target.port, '/')).text).toBe(before.text);
    });
  });

  test('what /set answered is what /get answers', async () => {
    for (const { path, body } of SET_CASES) {
      const [key] = Object.keys(JSON.parse(body!) as object);
      const set = await ask(target.port, path);
      expect((await ask(target.port, getPath(key!))).text).toBe(set.text);
    }
  });

  test('objects of the process have gained nothing', () => {
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

function contentTypeOf({ status }: Case): string | undefined {
  return status === 204 ? undefined : 'application/json';
}

describeOn(TARGETS)('GET /, $name', ({ start }) => {
  let target: Target;
  const stored = new Map<string, string>();
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  async function store(key: string, value: string): Promise<void> {
    expect((await ask(target.port, setPath(key, value))).status).toBe(stored.has(key) ? 200 : 201);
    stored.set(key, value);
  }

  test('shows awkward keys as valid JSON, in the order of their UTF-8 bytes', async () => {
    const awkward = [
      '__proto__',
      'constructor',
      '"',
      '\\',
      '\0',
      'a\0',
      'a',
      'a\0b',
      '10',
      '9',
      '',
      'é',
      'e\u0301',
    ];
    // In UTF-16 order the first of these two would come last.
    awkward.push('\uffff', '\u{10000}', '\u2028', '\ud7ff', ' ', '{', '</script>', '\x7f', 'Z', 'z');
    for (const key of awkward.filter((each) => each !== '')) await store(key, `of ${key}`);
    const answer = await ask(target.port, '/');
    expect(answer.text).toBe(wholeDatabase(stored));
    expect(Object.entries(JSON.parse(answer.text) as object).length).toBe(stored.size);
  });

  test('shows a changed value in its place', async () => {
    await store('a', 'changed');
    expect((await ask(target.port, '/')).text).toBe(wholeDatabase(stored));
  });

  test(`shows ${MANY} entries, whole and in order`, async () => {
    const numbers = Array.from({ length: MANY }, (_, i) => i);
    await eachAtOnce(numbers, 64, async (i) => {
      await ask(target.port, setPath(`many/${i}`, `value ${i}`));
      stored.set(`many/${i}`, `value ${i}`);
    });
    const answer = await ask(target.port, '/');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.text === wholeDatabase(stored)).toBe(true);
  });
});
