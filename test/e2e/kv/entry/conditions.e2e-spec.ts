import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { ask } from '../../../support/http.js';
import { expectProblem, freshKey, MERGE_PATCH, pathOf, stored, valueOf } from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

/** Stands in headers for the tag of the entry, and for its date and others. */
const TAG = '"{tag}"';
const DATE = '{date}';
const BEFORE = '{before}';
const AFTER = '{after}';
const OTHER = '"00000000-0000000000000"';

type Outcome = 'holds' | 'failed' | 'known';

interface Row {
  readonly headers: OutgoingHttpHeaders;
  /** What a reader is told of an entry that is there; a writer hears 412 in place of 304. */
  readonly reads: Outcome;
  /** What a writer is told, where the condition means something else to it. */
  readonly writes?: Outcome;
  /** What a writer is told of an entry that is not there. */
  readonly absent: Outcome;
}

/** RFC 9110, 13.1 and the order of 13.2.2. */
const ROWS: Row[] = [
  { headers: { 'If-Match': TAG }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': OTHER }, reads: 'failed', absent: 'failed' },
  { headers: { 'If-Match': '*' }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': `W/${TAG}` }, reads: 'failed', absent: 'failed' },
  { headers: { 'If-Match': `${OTHER}, ${TAG}` }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': `${OTHER} ,, W/"x",${TAG} ,` }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': [OTHER, TAG] }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': `"a,b", ${TAG}` }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': '""' }, reads: 'failed', absent: 'failed' },
  { headers: { 'If-Match': `${`${OTHER},`.repeat(400)}${TAG}` }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-None-Match': TAG }, reads: 'known', absent: 'holds' },
  { headers: { 'If-None-Match': `W/${TAG}` }, reads: 'known', absent: 'holds' },
  { headers: { 'If-None-Match': OTHER }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-None-Match': '*' }, reads: 'known', absent: 'holds' },
  { headers: { 'If-None-Match': `${OTHER}, ${TAG}` }, reads: 'known', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': DATE }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': AFTER }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': BEFORE }, reads: 'failed', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': 'Sunday, 06-Nov-94 08:49:37 GMT' }, reads: 'failed', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': 'Sun Nov  6 08:49:37 1994' }, reads: 'failed', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': 'yesterday' }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': '1994-11-06T08:49:37Z' }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Modified-Since': DATE }, reads: 'known', writes: 'holds', absent: 'holds' },
  { headers: { 'If-Modified-Since': AFTER }, reads: 'known', writes: 'holds', absent: 'holds' },
  { headers: { 'If-Modified-Since': BEFORE }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Modified-Since': 'garbage' }, reads: 'holds', absent: 'holds' },
  // A date that there is not, or several, is none (RFC 9110, 13.1.3 and 13.1.4).
  { headers: { 'If-Unmodified-Since': 'Foo, 06 Nov 1994 08:49:37 GMT' }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Unmodified-Since': 'Thu, 31 Feb 1994 08:49:37 GMT' }, reads: 'holds', absent: 'holds' },
  {
    headers: { 'If-Unmodified-Since': 'Sun, 06 Nov 1994 08:49:37 -0800 GMT' },
    reads: 'holds',
    absent: 'holds',
  },
  { headers: { 'If-Unmodified-Since': [BEFORE, BEFORE] }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-Modified-Since': [AFTER, AFTER] }, reads: 'holds', absent: 'holds' },
  {
    headers: { 'If-Modified-Since': 'Thursday, 01-Jan-60 00:00:00 GMT' },
    reads: 'known',
    writes: 'holds',
    absent: 'holds',
  },
  // If-Match before If-Unmodified-Since, which it replaces.
  { headers: { 'If-Match': TAG, 'If-Unmodified-Since': BEFORE }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Match': OTHER, 'If-Unmodified-Since': AFTER }, reads: 'failed', absent: 'failed' },
  // Then If-None-Match before If-Modified-Since, which it replaces.
  { headers: { 'If-None-Match': OTHER, 'If-Modified-Since': AFTER }, reads: 'holds', absent: 'holds' },
  { headers: { 'If-None-Match': TAG, 'If-Modified-Since': BEFORE }, reads: 'known', absent: 'holds' },
  { headers: { 'If-Match': TAG, 'If-None-Match': TAG }, reads: 'known', absent: 'failed' },
  { headers: { 'If-Match': OTHER, 'If-None-Match': TAG }, reads: 'failed', absent: 'failed' },
  { headers: { 'If-Match': TAG, 'If-None-Match': OTHER }, reads: 'holds', absent: 'failed' },
  { headers: { 'If-Unmodified-Since': BEFORE, 'If-None-Match': TAG }, reads: 'failed', absent: 'holds' },
  {
    headers: { 'If-Match': TAG, 'If-Modified-Since': AFTER },
    reads: 'known',
    writes: 'holds',
    absent: 'failed',
  },
];

const MALFORMED = ['x', 'abc-def', "'x'", '"x', 'x"', '"a" "b"', '*, "a"', 'w/"x"', '"a b"', '', ',', '"a"b'];

interface Write {
  readonly name: string;
  readonly method: string;
  readonly query?: string;
  readonly body?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** The status without a condition for an entry that is there, and for one that is not. */
  readonly there: number;
  readonly absent: number;
}

const WRITES: Write[] = [
  { name: 'PUT', method: 'PUT', body: '2', there: 200, absent: 201 },
  { name: 'DELETE', method: 'DELETE', there: 204, absent: 204 },
  { name: 'PATCH ?incr', method: 'PATCH', query: '?incr=1', there: 200, absent: 201 },
  { name: 'PATCH ?ttl', method: 'PATCH', query: '?ttl=1h', there: 200, absent: 404 },
  { name: 'a merge patch', method: 'PATCH', body: '2', headers: MERGE_PATCH, there: 200, absent: 404 },
];

describeOn(ENGINES)('conditions, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  /** An entry, and what fills the places in a row's headers. */
  async function entry(key: string): Promise<(headers: OutgoingHttpHeaders) => OutgoingHttpHeaders> {
    const etag = await stored(target.port, key, '1', { 'Content-Type': 'application/json' });
    const modified = (await ask(target.port, pathOf(key))).headers['last-modified']!;
    const shifted = (by: number) => new Date(Date.parse(modified) + by).toUTCString();
    const fill = (text: string) =>
      text
        .replaceAll(TAG, etag)
        .replace(DATE, modified)
        .replace(BEFORE, shifted(-1000))
        .replace(AFTER, shifted(3_600_000));
    return (headers) =>
      Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.map(fill) : fill(String(value)),
        ]),
      );
  }

  test.each(ROWS.map((row) => ({ ...row, title: JSON.stringify(row.headers).slice(0, 100) })))(
    'readers are told of $title: $reads',
    async ({ headers, reads }) => {
      const key = freshKey();
      const fill = await entry(key);
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(target.port, pathOf(key), { method, headers: fill(headers) });
        expect(answer.status).toBe({ holds: 200, failed: 412, known: 304 }[reads]);
        const plain = await ask(target.port, pathOf(key));
        if (reads === 'failed' && method === 'GET') {
          const { etag } = expectProblem(answer, 412, 'precondition-failed');
          expect(`"${String(etag)}"`).toBe(plain.headers.etag);
        }
        if (reads !== 'known') continue;
        expect(answer.text).toBe('');
        const { etag, vary } = plain.headers;
        expect(answer.headers).toMatchObject({ etag, vary, 'cache-control': 'no-cache' });
        expect(answer.headers['last-modified']).toBe(plain.headers['last-modified']);
      }
    },
  );

  test.each(WRITES)('$name on an entry that is there', async ({ method, query = '', body, ...write }) => {
    for (const { headers, reads, writes = reads } of ROWS) {
      const key = freshKey();
      const fill = await entry(key);
      const question = { method, body, headers: { ...write.headers, ...fill(headers) } };
      const before = (await ask(target.port, pathOf(key))).headers.etag;
      const answer = await ask(target.port, pathOf(key) + query, question);
      const expected = writes === 'holds' ? write.there : 412;
      expect({ headers, status: answer.status }).toEqual({ headers, status: expected });
      if (expected !== 412) continue;
      const { etag, detail } = expectProblem(answer, 412, 'precondition-failed');
      expect(`"${String(etag)}"`).toBe(before);
      expect(detail).toContain(etag);
      expect((await ask(target.port, pathOf(key))).headers.etag).toBe(before);
    }
  });

  test.each(WRITES)('$name on a key that is absent', async ({ method, query = '', body, ...write }) => {
    const fill = await entry('filler');
    for (const { headers, absent } of ROWS) {
      const key = freshKey();
      const question = { method, body, headers: { ...write.headers, ...fill(headers) } };
      const answer = await ask(target.port, pathOf(key) + query, question);
      // A condition counts only where the call without it would succeed.
      const expected = absent === 'holds' || write.absent === 404 ? write.absent : 412;
      expect({ headers, status: answer.status }).toEqual({ headers, status: expected });
      if (expected === 412) {
        expect(expectProblem(answer, 412, 'precondition-failed')).not.toHaveProperty('etag');
        expect(await valueOf(target.port, key)).toBeUndefined();
      }
    }
  });

  test('on a key that is absent are no matter to readers', async () => {
    for (const headers of [{ 'If-Match': '*' }, { 'If-None-Match': '*' }, { 'If-Match': OTHER }])
      expectProblem(await ask(target.port, '/kv/absent', { headers }), 404, 'missing-key');
  });

  test.each(MALFORMED)('that are malformed are 400 with a hint, and nothing is written: %j', async (tags) => {
    const before = await stored(target.port, 'malformed', '1');
    for (const name of ['If-Match', 'If-None-Match']) {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
        const path = `/kv/malformed${method === 'PATCH' ? '?incr=1' : ''}`;
        const answer = await ask(target.port, path, { method, headers: { [name]: tags } });
        expect(expectProblem(answer, 400, 'invalid-condition').detail).toContain('double quotes');
      }
    }
    expect((await ask(target.port, '/kv/malformed')).headers.etag).toBe(before);
  });

  test('make a lock: taken once, renewed and released by its holder only', async () => {
    const lock = pathOf(freshKey());
    const take = () =>
      ask(target.port, `${lock}?ttl=1h`, { method: 'PUT', headers: { 'If-None-Match': '*' } });
    const takers = await Promise.all(Array.from({ length: 8 }, take));
    expect(takers.filter(({ status }) => status === 412)).toHaveLength(7);
    const old = takers.find(({ status }) => status === 201)!.headers.etag!;
    const renew = { method: 'PATCH', headers: { 'If-Match': old } };
    const renewed = await ask(target.port, `${lock}?ttl=2h`, renew);
    expect(renewed.status).toBe(200);
    expect((await ask(target.port, `${lock}?ttl=2h`, renew)).status).toBe(412);
    const release = (tag: string) =>
      ask(target.port, lock, { method: 'DELETE', headers: { 'If-Match': tag } });
    expect((await release(old)).status).toBe(412);
    expect((await release(renewed.headers.etag!)).status).toBe(204);
    expect((await take()).status).toBe(201);
  });
});
