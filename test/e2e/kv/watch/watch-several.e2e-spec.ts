import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask } from '../../../support/http.js';
import { batch, expectProblem, pathOf, put, stored } from '../../../support/kv.js';
import { EventStream, toldOf, type SentEvent } from '../../../support/events.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';

const ACCEPT = { Accept: 'text/event-stream' };
/** The longest line of an event, as programs that read lines of 64 KiB want it. */
const LINE_BYTES = 64 * 1024;

const keysOf = (events: readonly SentEvent[]) => events.flatMap((event) => toldOf(event).key ?? []);

describeOn([...ENGINES, ...CLUSTERS])('a watch of several, $name', ({ start, lacks }) => {
  const isOrdered = !lacks.includes('totalOrder');
  let target: Target;
  const open: EventStream[] = [];
  beforeAll(async () => {
    target = await start();
    for (const key of ['a/1', 'a/2', 'b/1', 'c', 'c/1', 'd']) await stored(target.port, key, 'old');
  });
  afterAll(async () => {
    for (const stream of open) stream.close();
    await target.close();
  });

  async function live(path: string, headers = {}): Promise<EventStream> {
    const stream = await EventStream.live(target.port, path, headers);
    open.push(stream);
    return stream;
  }

  test.each([
    ['prefix=a/&prefix=b/', ['a/1', 'a/2', 'b/1'], ['a/3', 'b/1']],
    ['key=c&key=d', ['c', 'd'], ['c', 'd']],
    ['key=c&prefix=a/', ['a/1', 'a/2', 'c'], ['a/3', 'c']],
    ['prefix=a/&prefix=a&key=a/1&key=a/1&prefix=a/', ['a/1', 'a/2'], ['a/3']],
    ['prefix=c&key=c', ['c', 'c/1'], ['c']],
    ['key=absent&key=%64', ['d'], ['d']],
    ['prefix=&key=c', ['a/1', 'a/2', 'b/1', 'c', 'c/1', 'd'], ['a/3', 'b/1', 'c', 'd']],
  ])('shows and tells each key once, and in order: %s', async (query, shown, told) => {
    for (const path of [`/kv?${query}&watch=true`, `/kv?${query}`]) {
      const stream = await live(path);
      expect(stream.names.at(-1)).toBe('ready');
      expect(keysOf(stream.events).toSorted()).toEqual(shown);
      const before = stream.events.length;
      const etags = new Map<string, string>();
      const written = ['b/1', 'c', 'a/3', 'd'];
      for (const key of written) etags.set(key, (await stored(target.port, key, 'new')).slice(1, -1));
      await Promise.all(told.map((key) => stream.told(key, etags.get(key))));
      const keys = keysOf(stream.events.slice(before));
      const expected = written.filter((key) => told.includes(key));
      expect(isOrdered ? keys : keys.toSorted()).toEqual(isOrdered ? expected : expected.toSorted());
      stream.close();
      await ask(target.port, pathOf('a/3'), { method: 'DELETE' });
    }
  });

  test('changes in one batch are told in their order, and a client that comes again misses none', async () => {
    const path = '/kv?prefix=o/&prefix=p/&key=q';
    const stream = await live(`${path}&since=now`);
    const [start] = stream.events;
    const ops = Array.from({ length: 60 }, (_, i) => ({
      op: 'put',
      key: ['o/{t}', 'p/{t}', 'q', 'r/{t}'][i % 4]! + (i % 4 === 2 ? '' : String(i)),
      value: 'x',
    }));
    await batch(target.port, ops, false);
    const end = (await stored(target.port, 'p/end', 'x')).slice(1, -1);
    await stream.told('p/end', end);
    const told = keysOf(stream.events);
    const wanted = [...ops.map(({ key }) => key).filter((key) => !key.startsWith('r/')), 'p/end'];
    if (isOrdered) expect(told).toEqual(wanted);
    else expect(told.toSorted()).toEqual(wanted.toSorted());
    const again = await live(path, { 'Last-Event-ID': start!.id });
    expect(keysOf(again.events).toSorted()).toEqual(wanted.toSorted());
    if (!isOrdered) return;
    const { id } = stream.events[30]!;
    const rest = await live(path, { 'Last-Event-ID': id });
    expect(keysOf(rest.events)).toEqual(keysOf(stream.events.slice(31)));
  });

  test('follows 100 in all, and one more is 400', async () => {
    const names = Array.from({ length: 99 }, (_, i) => `key=many/${i}`).join('&');
    const stream = await live(`/kv?${names}&prefix=more/`);
    for (const key of ['many/0', 'many/98', 'more/x'])
      await stream.told(key, (await stored(target.port, key, 'x')).slice(1, -1));
    const answer = await ask(target.port, `/kv?${names}&prefix=more/&key=x`, { headers: ACCEPT });
    expect(expectProblem(answer, 400, 'invalid-parameter')).toMatchObject({ limit: 100 });
  });

  test.each<[string, string]>([
    ['key=&key=a', 'invalid-parameter'],
    [`key=${'k'.repeat(1025)}&key=a`, 'invalid-key'],
    [`prefix=${'k'.repeat(1025)}&prefix=a`, 'invalid-parameter'],
    ['key=%FF&key=a', 'invalid-parameter'],
    ['key=a&key=b&since=1&since=2', 'invalid-parameter'],
    ['key=a&key=b&limit=5', 'invalid-parameter'],
  ])('%s is 400', async (query, code) => {
    expectProblem(await ask(target.port, `/kv?${query}&watch=true`), 400, code);
  });

  test('only a watch takes several', async () => {
    for (const query of ['key=a&key=b', 'key=a&prefix=b', 'prefix=a&prefix=b'])
      for (const question of [{}, { method: 'HEAD', headers: ACCEPT }, { method: 'DELETE' }])
        expect((await ask(target.port, `/kv?${query}`, question)).status).toBe(400);
    expect((await ask(target.port, '/kv?key=a&key=b', { method: 'PUT' })).status).toBe(400);
  });
});

describeOn(ENGINES)('the lines of events, $name', ({ start }) => {
  test.each([
    ['plain text', 'x', 65_300],
    ['quotes', '"', 32_600],
    ['control characters', '\u0001', 10_880],
    ['characters of four bytes', '😀', 16_325],
    ['bytes', '\u00ff', 48_970],
  ])(
    'are at most 64 KiB, in the snapshot and live; a longer value is left out: %s',
    async (_name, unit, count) => {
      const target = await start();
      const encoding = unit === '\u00ff' ? 'latin1' : 'utf8';
      const value = (more: number) => Buffer.from(unit.repeat(count + more), encoding);
      const stream = await EventStream.live(target.port, '/kv?prefix=k');
      await put(target.port, 'k1', value(0));
      await put(target.port, 'k2', value(400));
      const last = await stored(target.port, 'k3', 'end');
      await stream.told('k3', last.slice(1, -1));
      const snapshot = await EventStream.live(target.port, '/kv?prefix=k');
      for (const { text, events } of [stream, snapshot]) {
        for (const line of text.split('\n'))
          expect(Buffer.byteLength(line) + 1).toBeLessThanOrEqual(LINE_BYTES);
        const [short, long] = events.filter(({ event }) => event === 'put').map(toldOf);
        expect(
          Buffer.from(short!.value ?? short!.base64!, short!.value === undefined ? 'base64' : 'utf8'),
        ).toEqual(value(0));
        expect(long).toMatchObject({ key: 'k2', size: value(400).length, etag: expect.any(String) });
        expect(long).not.toHaveProperty('value');
        expect(long).not.toHaveProperty('base64');
      }
      stream.close();
      snapshot.close();
      await target.close();
    },
  );
});
