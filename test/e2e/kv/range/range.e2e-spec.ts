import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../../support/http.js';
import { batch, expectProblem, pageOf, put, stored, type Item, type Page } from '../../../support/kv.js';
import { Random } from '../../../support/random.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';

const SEED = Number(process.env['SEED'] ?? 20_260_101);
/** Letters whose order differs between UTF-16 and UTF-8, that escape, or that group. */
const LETTERS = ['a', 'b', 'B', '/', '%', '+', ' ', '"', 'é', '\uffee', '🐦', '\0', '*', '\\', '&', '='];

function inOrder(keys: Iterable<string>): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** The path of the Link header with rel="next", taken literally. */
function nextLink({ headers }: Answer): string | undefined {
  return /^<([^>]*)>; rel="next"$/.exec(String(headers.link ?? ''))?.[1];
}

function without<T extends object>(headers: T, name: string): object {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}

describeOn([...ENGINES, ...CLUSTERS])('a range, $name', ({ start }) => {
  let target: Target;
  const keys = new Set<string>();
  beforeAll(async () => {
    target = await start();
    const random = new Random(SEED);
    while (keys.size < 300) {
      const key = random.text(LETTERS, 6);
      if (key !== '') keys.add(key);
    }
    const ops = [...keys].map((key) => ({ op: 'put', key, value: `value of ${key}` }));
    expect((await batch(target.port, ops, false)).status).toBe(200);
  });
  afterAll(() => target.close());

  /** What a walk along `next` or along the links shows, in order. */
  async function walk(query: string, by: 'next' | 'link'): Promise<string[]> {
    const names: string[] = [];
    let path: string | undefined = `/kv${query}`;
    for (let pages = 0; path !== undefined; pages++) {
      expect(pages).toBeLessThan(400);
      const answer: Answer = await ask(target.port, path);
      expect(answer.status).toBe(200);
      const { items, prefixes, next } = JSON.parse(answer.text) as Page;
      const page = inOrder([...items.map(({ key }) => key), ...prefixes]);
      names.push(...(query.includes('reverse=true') ? page.reverse() : page));
      expect(next).toBe(nextLink(answer) === undefined ? null : names.at(-1));
      if (by === 'link') path = nextLink(answer);
      else path = next === null ? undefined : `/kv${query}&after=${encodeURIComponent(next)}`;
    }
    return names;
  }

  const PREFIXES = ['', 'a', '/', 'a/', '🐦', '\uffee', '%', '+', ' ', '*', '\\', '[a-', 'none', '&', '='];
  const DELIMITERS = ['', '/', 'a', '🐦', 'a/', ' '];

  test.each(PREFIXES)('shows every key of a prefix exactly once, both ways: %j', async (prefix) => {
    const expected = inOrder([...keys].filter((key) => key.startsWith(prefix)));
    for (const reverse of [false, true]) {
      for (const limit of [7, 1000]) {
        const query = `?prefix=${encodeURIComponent(prefix)}&limit=${limit}&reverse=${reverse}`;
        const wanted = reverse ? expected.toReversed() : expected;
        expect(await walk(query, 'next')).toEqual(wanted);
        expect(await walk(query, 'link')).toEqual(wanted);
      }
    }
  });

  test.each(DELIMITERS.slice(1))('folds keys at a delimiter, each group once: %j', async (delimiter) => {
    for (const prefix of ['', 'a', 'a/', '/']) {
      const names = new Set<string>();
      for (const key of keys) {
        if (!key.startsWith(prefix)) continue;
        const at = key.indexOf(delimiter, prefix.length);
        names.add(at < 0 ? key : key.slice(0, at + delimiter.length));
      }
      const expected = inOrder(names);
      for (const reverse of [false, true]) {
        const wanted = reverse ? expected.toReversed() : expected;
        const about = `prefix=${encodeURIComponent(prefix)}&delimiter=${encodeURIComponent(delimiter)}`;
        expect(await walk(`?${about}&limit=5&reverse=${reverse}`, 'link')).toEqual(wanted);
      }
    }
  });

  test('from and to bound pages, links, counts, exports and what is deleted', async () => {
    const random = new Random(SEED + 1);
    const headers = { Accept: 'application/x-ndjson' };
    for (let i = 0; i < 40; i++) {
      const [from, to] = [random.pick([...keys]), random.text(LETTERS, 3)];
      const prefix = random.pick(['', '', 'a', '/']);
      const bytes = (text: string) => Buffer.from(text);
      const within = [...keys].filter(
        (key) =>
          key.startsWith(prefix) &&
          bytes(key).compare(bytes(from)) >= 0 &&
          (to === '' || bytes(key).compare(bytes(to)) < 0),
      );
      const about = new URLSearchParams({ prefix, from, ...(to && { to }) }).toString();
      const reverse = random.chance(0.5);
      const expected = reverse ? inOrder(within).reverse() : inOrder(within);
      for (const by of ['next', 'link'] as const)
        expect(await walk(`?${about}&limit=${random.pick([3, 50])}&reverse=${reverse}`, by)).toEqual(
          expected,
        );
      const counts = [
        (await ask(target.port, `/kv?${about}`, { method: 'HEAD' })).headers['kv-count'],
        (await ask(target.port, `/kv?${about}`, { method: 'HEAD', headers })).headers['kv-count'],
        (await ask(target.port, `/kv?${about}&limit=1&count=true`)).headers['kv-count'],
        JSON.parse((await ask(target.port, `/kv?${about}&dry-run=true`, { method: 'DELETE' })).text).deleted,
      ];
      expect(counts.map(Number)).toEqual(counts.map(() => within.length));
      const lines = (await ask(target.port, `/kv?${about}`, { headers })).text
        .trim()
        .split('\n')
        .slice(0, -1);
      expect(lines.map((line) => JSON.parse(line).key)).toEqual(inOrder(within));
    }
  });

  test('has 100 items a page unless it is told otherwise, and 1000 at most', async () => {
    expect((await pageOf(target.port, '')).items).toHaveLength(100);
    expect((await pageOf(target.port, '?limit=1')).items).toHaveLength(1);
    expect((await pageOf(target.port, '?limit=1000')).items).toHaveLength(300);
    const last = await pageOf(target.port, '?limit=300');
    expect({ count: last.items.length, next: last.next }).toEqual({ count: 300, next: null });
  });

  test('describes its items, with their values if asked', async () => {
    const [item] = (await pageOf(target.port, '?limit=1')).items as [Item];
    expect(Object.keys(item)).toEqual(['key', 'etag', 'type', 'size', 'created', 'modified', 'expires']);
    const entry = await ask(target.port, `/kv?key=${encodeURIComponent(item.key)}`);
    expect(`"${item.etag}"`).toBe(entry.headers.etag);
    expect(item.size).toBe(entry.bytes.length);
    const [full] = (await pageOf(target.port, '?limit=1&values=true')).items as [Item];
    expect(full).toEqual({ ...item, value: entry.text });
    await stored(target.port, 'zz/bytes', Buffer.from([0xff, 0]));
    await stored(target.port, 'zz/json', '{"a":1}', { 'Content-Type': 'application/json' });
    const { items } = await pageOf(target.port, '?prefix=zz/&values=true');
    expect(items).toMatchObject([{ base64: '/wA=' }, { value: '{"a":1}', type: 'application/json' }]);
    await ask(target.port, '/kv?prefix=zz/', { method: 'DELETE' });
  });

  test('is counted by HEAD, and with count=true', async () => {
    const some = [...keys].filter((key) => key.startsWith('a')).length;
    const count = (answer: Answer) => answer.headers['kv-count'];
    expect(count(await ask(target.port, '/kv', { method: 'HEAD' }))).toBe('300');
    const head = await ask(target.port, '/kv?prefix=a', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(count(head)).toBe(String(some));
    expect(count(await ask(target.port, '/kv?prefix=a&limit=1&count=true'))).toBe(String(some));
    expect(count(await ask(target.port, '/kv?prefix=a'))).toBeUndefined();
    expect(count(await ask(target.port, '/kv?prefix=none&count=true'))).toBe('0');
  });

  test.each([
    '/kv',
    '/kv?limit=7',
    '/kv?prefix=a&values=true&reverse=true',
    '/kv?prefix=none',
    '/kv?prefix=a&delimiter=/&count=true',
  ])('HEAD %s has the headers of GET, its tag, length and links too', async (path) => {
    const [get, head] = [await ask(target.port, path), await ask(target.port, path, { method: 'HEAD' })];
    const { 'kv-count': _, ...rest } = head.headers;
    expect({ ...rest, date: '' }).toEqual({ ...without(get.headers, 'kv-count'), date: '' });
    expect(head.headers['content-length']).toBe(String(get.bytes.length));
    const known = { method: 'HEAD', headers: { 'If-None-Match': get.headers.etag } };
    expect(await ask(target.port, path, known)).toMatchObject({ status: 304, text: '' });
    const other = { method: 'HEAD', headers: { 'If-Match': '"x"' } };
    expect((await ask(target.port, path, other)).status).toBe(412);
  });

  test('HEAD of an export has its type and the count', async () => {
    const headers = { Accept: 'application/x-ndjson' };
    const head = await ask(target.port, '/kv', { method: 'HEAD', headers });
    expect(head.headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'kv-count': '300' });
    expect((await ask(target.port, '/kv?limit=5', { method: 'HEAD', headers })).status).toBe(400);
  });

  test('has a tag that changes with what it shows, and answers 304 to it', async () => {
    const page = '/kv?prefix=tag/&values=true';
    await stored(target.port, 'tag/a', '1');
    const seen = new Set<string>();
    const changes = [
      () => put(target.port, 'tag/a', '1'),
      () => put(target.port, 'tag/b', '1'),
      () => ask(target.port, '/kv/tag/a?ttl=1h', { method: 'PATCH' }),
      () => ask(target.port, '/kv/tag/a', { method: 'DELETE' }),
    ];
    for (const change of changes) {
      const fresh = await ask(target.port, page);
      const etag = fresh.headers.etag!;
      expect(etag).toMatch(/^"[^"]+"$/);
      expect(fresh.headers).toMatchObject({ vary: 'Accept', 'cache-control': 'no-cache' });
      for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
        const known = await ask(target.port, page, { headers: { 'If-None-Match': tags } });
        expect(known).toMatchObject({ status: 304, text: '' });
        expect(known.headers.etag).toBe(etag);
      }
      expect((await ask(target.port, page, { headers: { 'If-None-Match': '"x"' } })).status).toBe(200);
      seen.add(etag);
      await change();
    }
    expect(seen.size).toBe(changes.length);
    await ask(target.port, '/kv?prefix=tag/', { method: 'DELETE' });
  });

  test('ends a page after 4 MiB of values', async () => {
    const MiB = 2 ** 20;
    for (const key of ['big/1', 'big/2', 'big/3', 'big/4', 'big/5', 'big/6'])
      await stored(target.port, key, Buffer.alloc(MiB * 1.5, 'x'));
    const first = await pageOf(target.port, '?prefix=big/&values=true');
    expect(first.items.map(({ key }) => key)).toEqual(['big/1', 'big/2', 'big/3']);
    expect(first.next).toBe('big/3');
    expect((await pageOf(target.port, '?prefix=big/')).items).toHaveLength(6);
    expect(await walk('?prefix=big/&values=true', 'link')).toHaveLength(6);
    await ask(target.port, '/kv?prefix=big/', { method: 'DELETE' });
  });

  test.each([
    'limit=0',
    'limit=-1',
    'limit=1001',
    'limit=1e9',
    'limit=1e2',
    'limit=NaN',
    'limit=abc',
    'limit=',
  ])('%s is 400', async (query) => {
    expectProblem(await ask(target.port, `/kv?${query}`), 400, 'invalid-parameter');
  });

  test.each([
    'limt=5',
    'limit=5&limit=5',
    'after=',
    'from=',
    'to=',
    `to=${'x'.repeat(1025)}`,
    'delimiter=',
    'values=yes',
    'values=1',
    'values=',
    'reverse=TRUE',
    'count=maybe',
    'prefix=a&prefix=b',
    'prefix=%FF',
    'prefix=%',
    'after=%C3',
    'prefix[]=a',
    `prefix=${'x'.repeat(1025)}`,
    `prefix=${'x'.repeat(3000)}`,
    `after=${'x'.repeat(3000)}`,
    `after=${'x'.repeat(3000)}&reverse=true`,
    `delimiter=${'x'.repeat(3000)}`,
  ])('%s is 400', async (query) => {
    const { detail } = expectProblem(await ask(target.port, `/kv?${query}`), 400, 'invalid-parameter');
    expect(detail).toContain(
      '`prefix`, `from`, `to`, `after`, `limit`, `delimiter`, `values`, `reverse`, `count` and `watch`',
    );
    if (!query.startsWith('prefix=x')) return;
    expect((await ask(target.port, `/kv?${query}`, { method: 'HEAD' })).status).toBe(400);
    expect((await ask(target.port, `/kv?${query}`, { method: 'DELETE' })).status).toBe(400);
    const headers = { Accept: 'application/x-ndjson' };
    expect((await ask(target.port, `/kv?${query}`, { headers })).status).toBe(400);
  });
});

describeOn([...ENGINES, ...CLUSTERS])('deleting a range, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  async function fill(prefix: string, count: number): Promise<void> {
    const ops = Array.from({ length: count }, (_, i) => ({ op: 'put', key: `${prefix}${i}`, value: 'v' }));
    for (let i = 0; i < count; i += 1000)
      expect((await batch(target.port, ops.slice(i, i + 1000), false)).status).toBe(200);
  }

  async function deleting(query: string): Promise<unknown> {
    const answer = await ask(target.port, `/kv${query}`, { method: 'DELETE' });
    expect(answer.status).toBe(200);
    return JSON.parse(answer.text);
  }

  async function count(): Promise<number> {
    return Number((await ask(target.port, '/kv', { method: 'HEAD' })).headers['kv-count']);
  }

  test('takes its keys, however many, and no others', async () => {
    await fill('user/', 2500);
    await fill('userx', 3);
    expect(await deleting('?prefix=user/&dry-run=true')).toEqual({ deleted: 2500 });
    expect(await count()).toBe(2503);
    expect(await deleting('?prefix=user/&dry-run=false')).toEqual({ deleted: 2500 });
    expect(await deleting('?prefix=user/')).toEqual({ deleted: 0 });
    expect(await count()).toBe(3);
  });

  test('takes those from one key up to another', async () => {
    for (const name of ['log/1', 'log/2', 'log/3', 'log/4', 'loh']) await stored(target.port, name, '');
    expect(await deleting('?prefix=log/&from=log/2&to=log/4')).toEqual({ deleted: 2 });
    expect((await pageOf(target.port, '?from=log/')).items.map(({ key }) => key).slice(0, 3)).toEqual([
      'log/1',
      'log/4',
      'loh',
    ]);
    expect(await deleting('?from=log/&to=loi&confirm=all')).toEqual({ deleted: 3 });
    expect(await count()).toBe(3);
  });

  test.each(['', '?prefix=', '?', '?dry-run=false', '?prefix=&dry-run=false', '?from=a&to=b'])(
    'of everything has to be confirmed: %j',
    async (query) => {
      await fill('some', 2);
      const before = await count();
      const answer = await ask(target.port, `/kv${query}`, { method: 'DELETE' });
      expect(expectProblem(answer, 400, 'confirmation-needed').detail).toContain('confirm=all');
      expect(await count()).toBe(before);
    },
  );

  test.each(['If-Match', 'If-None-Match', 'If-Unmodified-Since'])(
    'on a condition is refused, and nothing is deleted: %s',
    async (name) => {
      await fill('some', 2);
      const before = await count();
      for (const value of ['*', '"x"', 'Thu, 01 Jan 1970 00:00:00 GMT']) {
        const question = { method: 'DELETE', headers: { [name]: value } };
        const answer = await ask(target.port, '/kv?prefix=some', question);
        expect(expectProblem(answer, 400, 'invalid-condition').detail).toContain('DELETE /kv/{key}');
      }
      expect(await count()).toBe(before);
    },
  );

  test.each(['?confirm=yes', '?confirm=all&confirm=all', '?confirm=', '?prefx=a', '?dry-run=1', '?limit=5'])(
    '%s is 400',
    async (query) => {
      await fill('some', 2);
      const before = await count();
      const answer = await ask(target.port, `/kv${query}`, { method: 'DELETE' });
      expectProblem(answer, 400, 'invalid-parameter');
      expect(await count()).toBe(before);
    },
  );

  test('of everything is done when it is confirmed', async () => {
    await fill('all', 5);
    const before = await count();
    expect(await deleting('?dry-run=true')).toEqual({ deleted: before });
    expect(await deleting('?confirm=all')).toEqual({ deleted: before });
    expect(await count()).toBe(0);
    expect((await ask(target.port, '/')).text).toBe('{}');
  });
});
