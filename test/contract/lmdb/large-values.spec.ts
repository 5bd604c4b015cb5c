import { afterEach, beforeEach, describe, expect, it, test } from '@jest/globals';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { allocateValue } from '../../../src/storage/value-memory.js';
import { eventually } from '../../support/eventually.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { countTurns } from '../../support/turns.js';
import { lmdb } from '../engines.js';
import {
  changesAfter,
  codeOf,
  countOf,
  entryOf,
  headerOf,
  kindOf,
  namesOf,
  pause,
  put,
  putOf,
  refusalOf,
  textOf,
} from '../shorthand.js';

/* Large values are copied into the store by another thread, after the transaction has decided about them. */

const LARGE = 300_000;
const large = (letter: string, size = LARGE) => letter.repeat(size);
const IF_ABSENT = { condition: { ifNoneMatch: '*' } } as const;

let folder: string;
let engine: LmdbEngine;
let time: FakeTime;

const open = async (): Promise<void> => {
  engine = lmdb.make(time.clock(), folder) as LmdbEngine;
  await engine.open();
};

/** Returns the first letters of the values, which have one letter each. */
async function lettersOf(...keys: string[]): Promise<(string | undefined)[]> {
  return Promise.all(
    keys.map(async (key) => {
      const text = await textOf(engine, key);
      if (text !== undefined) expect(text).toBe(text[0]!.repeat(text.length));
      return text?.[0];
    }),
  );
}

beforeEach(async () => {
  time = new FakeTime();
  folder = temporaryFolder();
  await open();
});

afterEach(() => engine.close());

test('it is stored whole, with its type and times, and is there after a restart', async () => {
  const created = await put(engine, 'a', large('x'), { type: 'image/x-own; q=1', expiry: { in: 60_000 } });
  time.advance(1000);
  const replaced = await put(engine, 'a', large('y', LARGE + 1), {
    type: 'application/json',
    expiry: 'keep',
  });
  expect([replaced.created, replaced.expires]).toEqual([created.created, created.expires]);
  await engine.close();
  await open();
  expect(headerOf(engine.head('a')!)).toEqual(headerOf(replaced));
  expect(await lettersOf('a')).toEqual(['y']);
  time.advance(60_000);
  expect(engine.head('a')).toBeUndefined();
});

test('one that is refused changes nothing, and neither does an atomic batch with a refused operation', async () => {
  await put(engine, 'a', large('x'));
  expect(await refusalOf(engine.write(putOf('a', large('y'), IF_ABSENT)))).toMatchObject({
    code: 'precondition-failed',
  });
  const batch = engine.batch(
    [putOf('b', large('y')), putOf('c', large('y')), putOf('a', 'y', IF_ABSENT)],
    true,
  );
  expect(await refusalOf(batch)).toMatchObject({ code: 'precondition-failed', index: 2 });
  expect(await lettersOf('a', 'b', 'c')).toEqual(['x', undefined, undefined]);
  expect(await countOf(engine, { prefix: '' })).toBe(1);
});

test('of a pipeline those are stored that are not refused', async () => {
  await put(engine, 'a', large('x'));
  const outcomes = await engine.batch(
    [putOf('b', large('y')), putOf('a', large('y'), IF_ABSENT), putOf('c', large('y'))],
    false,
  );
  expect(outcomes.map(kindOf)).toEqual(['created', 'precondition-failed', 'created']);
  expect(await lettersOf('a', 'b', 'c')).toEqual(['x', 'y', 'y']);
});

test.each([true, false])(
  'operations of a batch see those before on the same key (atomic %s)',
  async (atomic) => {
    const outcomes = await engine.batch(
      [
        putOf('a', large('x')),
        { op: 'get', key: 'a' },
        { op: 'delete', key: 'a' },
        putOf('b', large('x')),
        putOf('b', large('y')),
        putOf('c', large('z')),
      ],
      atomic,
    );
    expect(outcomes.map(kindOf)).toEqual(['created', 'found', 'deleted', 'created', 'updated', 'created']);
    expect(entryOf(outcomes[1]!).size).toBe(LARGE);
    expect(await lettersOf('a', 'b', 'c')).toEqual([undefined, 'y', 'z']);
  },
);

test('writes of one key take effect in the order in which they were decided, whatever their sizes', async () => {
  const values = Array.from({ length: 21 }, (_, i) =>
    large(String.fromCharCode(65 + i), i % 3 === 0 ? 10 : LARGE + i),
  );
  const entries = await Promise.all(values.map((value) => put(engine, 'a', value)));
  const last = entries.reduce((latest, entry) => (entry.etag > latest.etag ? entry : latest));
  expect(await lettersOf('a')).toEqual([values[entries.indexOf(last)]![0]]);
  expect(engine.head('a')!.etag).toBe(last.etag);
});

test('those that wait share commits, with small ones', async () => {
  let commits = 0;
  engine.onChange(() => commits++);
  const goOn = await engine['commits'].hold();
  const values = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? large('x', 100_000) : 'y'));
  const writes = Promise.all(values.map((value, i) => put(engine, `k${i}`, value)));
  await eventually(() => engine['commits'].waitingBytes >= 20 * 100_000);
  goOn();
  await writes;
  expect(commits).toBeLessThan(20);
  expect(await countOf(engine, { prefix: '' })).toBe(40);
});

test('one that a later operation of its transaction replaces, removes or touches is as that leaves it', async () => {
  const operations: BatchOperation[] = [
    ...['a', 'b', 'c', 'd', 'e'].map((key) => putOf(key, large('x'))),
    putOf('a', 'small'),
    { op: 'delete', key: 'b' },
    { op: 'touch', key: 'c', expiry: { in: 60_000 } },
    putOf('d', large('y')),
    { op: 'check', key: 'e', condition: { ifMatch: '*' } },
    { op: 'get', key: 'd' },
  ];
  const outcomes = await engine.batch(operations, false);
  expect(outcomes.slice(5).map(kindOf)).toEqual([
    'updated',
    'deleted',
    'updated',
    'updated',
    'checked',
    'found',
  ]);
  const tags = ['a', 'c', 'd'].map((key) => engine.head(key)!.etag);
  expect(tags).toEqual([outcomes[5]!, outcomes[7]!, outcomes[8]!].map((outcome) => entryOf(outcome).etag));
  expect(entryOf(outcomes[10]!).value.toString()).toBe(large('y'));
  expect(await textOf(engine, 'a')).toBe('small');
  expect(await lettersOf('b', 'c', 'd', 'e')).toEqual([undefined, 'x', 'y', 'x']);
  time.advance(60_000);
  await eventually(() => engine['store'].entryCount() === 3);
  expect(await lettersOf('c', 'd', 'e')).toEqual([undefined, 'y', 'x']);
});

test('one of megabytes gets another end, and keeps what it is', async () => {
  const created = await put(engine, 'a', large('x', 2_000_000), { type: 'image/x-own' });
  time.advance(1000);
  const touch = { op: 'touch', key: 'a', expiry: { in: 1000 } } as const;
  const condition = { ifMatch: ['0'] };
  expect(await refusalOf(engine.write({ ...touch, condition }))).toMatchObject({
    code: 'precondition-failed',
    etag: created.etag,
  });
  const tags = await Promise.all([1, 2, 3].map(async () => entryOf(await engine.write(touch)).etag));
  expect(new Set(tags).size).toBe(3);
  const { created: since, type, expires, etag } = engine.head('a')!;
  expect([since, type, expires]).toEqual([created.created, 'image/x-own', engine.now() + 1000]);
  expect(tags).toContain(etag);
  expect(await lettersOf('a')).toEqual(['x']);
  expect(await codeOf(engine.write({ ...touch, key: 'b' }))).toBe('missing-key');
});

test('what a batch reads and touches of large values is bounded, and what is too much is not read', async () => {
  const size = 3_000_000;
  await put(engine, 'a', large('x', size));
  const each = (operation: BatchOperation, atomic = false) =>
    engine.batch(Array<BatchOperation>(20).fill(operation), atomic, 3 * size);
  const got = (await each({ op: 'get', key: 'a' })).map(kindOf);
  expect(got).toEqual([...Array<string>(3).fill('found'), ...Array<string>(17).fill('body-too-large')]);
  // One that is touched often is stored once.
  const touch = { op: 'touch', key: 'a', expiry: { in: 1000 } } as const;
  expect(new Set((await each(touch)).map(kindOf))).toEqual(new Set(['updated']));
  await each(touch, true);
  expect(await lettersOf('a')).toEqual(['x']);
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  await Promise.all(keys.map((key) => put(engine, key, large('y', size))));
  const before = keys.map((key) => engine.head(key)!.etag);
  for (const atomic of [true, false]) {
    const touches = keys.map((key) => ({ ...touch, key }));
    const refusal = await refusalOf(engine.batch(touches, atomic));
    expect(refusal).toMatchObject({ code: 'body-too-large', limit: 16 * 2 ** 20 });
    expect(keys.map((key) => engine.head(key)!.etag)).toEqual(before);
    expect((await engine.batch(touches.slice(1), atomic)).map(kindOf)).toEqual(Array(5).fill('updated'));
    before.splice(1, 5, ...keys.slice(1).map((key) => engine.head(key)!.etag));
  }
  expect(new Set((await each({ op: 'incr', key: 'a', amount: 1n, expiry: 'never' })).map(kindOf))).toEqual(
    new Set(['not-an-integer']),
  );
});

test('a batch that touches one that others change meanwhile touches what is there', async () => {
  await put(engine, 'a', large('x', 2_000_000));
  const goOn = await engine['commits'].hold();
  const other = put(engine, 'a', large('y', 3_000_000));
  await eventually(() => engine['commits'].waitingBytes > 3_000_000);
  const touches = engine.batch([{ op: 'touch', key: 'a', expiry: { in: 1000 } }], true);
  await eventually(() => engine['commits'].waitingBytes > 3_000_000 + 1024);
  goOn();
  await other;
  expect((await touches).map(kindOf)).toEqual(['updated']);
  expect([engine.head('a')!.size, engine.head('a')!.expires]).toEqual([3_000_000, engine.now() + 1000]);
  expect(await lettersOf('a')).toEqual(['y']);
});

test('small values that an atomic batch touches are bounded, too, because their transaction is one', async () => {
  const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
  await engine.batch(
    keys.map((key) => putOf(key, large('x', 60_000))),
    false,
  );
  const touches = keys.map((key) => ({ op: 'touch', key, expiry: { in: 1000 } }) as const);
  expect(await refusalOf(engine.batch(touches, true))).toMatchObject({ code: 'body-too-large', index: 279 });
  expect(engine.head('k0')!.expires).toBe(0);
  let commits = 0;
  engine.onChange(() => commits++);
  const thousand = Array.from({ length: 1000 }, (_, i) => touches[i % 300]!);
  const outcomes = await engine.batch([...thousand, { op: 'get', key: 'k0' }], false);
  expect(outcomes.map(kindOf)).toEqual([...Array<string>(1000).fill('updated'), 'found']);
  expect(entryOf(outcomes[1000]!).etag).toBe(entryOf(outcomes[900]!).etag);
  // What each operation stands for itself needs no transaction of a second.
  expect(commits).toBeGreaterThan(1);
});

test('one that has expired in its own transaction is gone', async () => {
  await put(engine, 'a', 'small', { expiry: { in: 1000 } });
  const expiry = { at: engine.now() - 1 };
  const outcomes = await engine.batch([putOf('a', large('x'), { expiry }), { op: 'get', key: 'a' }], false);
  expect(outcomes.map(kindOf)).toEqual(['updated', 'absent']);
  await eventually(() => engine['store'].entryCount() === 0);
});

test('a very large one is read as it is when it is read, beside writes of the same key', async () => {
  const sizes = [2_000_000, 3_000_000, 10, 4_000_000];
  await put(engine, 'a', large('w', sizes[0]));
  const writes = Promise.all(sizes.map((size, i) => put(engine, 'a', large(String(i), size))));
  for (let isDone = false; !isDone; await lettersOf('a'))
    isDone = await Promise.race([writes.then(() => true), pause(0).then(() => false)]);
  expect(sizes).toContain((await engine.get('a'))!.size);
});

describe('beside small and damaged ones', () => {
  const SIZES: Readonly<Record<string, number>> = { a: 10, b: 3_000_000, d: 17_000_000, e: 10, f: 2_000_000 };

  beforeEach(async () => {
    for (const [key, size] of Object.entries(SIZES)) await put(engine, key, large(key, size));
    for (const [key, size] of [
      ['c', 5_000_000],
      ['c1', 50],
    ] as const)
      await engine['commits'].submit(0, () => void engine['store'].entries.put(key, Buffer.alloc(size, 7)));
    await put(engine, 'e0', large('x', 2_000_000), { expiry: { at: engine.now() - 1 } });
  });

  it.each([false, true])('a page has each as it is, in its place (reverse: %s)', async (reverse) => {
    const turns = countTurns();
    const { items, damaged } = await engine.range({ prefix: '', limit: 10, values: true, reverse });
    expect(turns.stop()).toBeGreaterThan(1);
    const keys = Object.keys(SIZES);
    expect(items.map(({ key }) => key)).toEqual(reverse ? keys.toReversed() : keys);
    for (const { key, value } of items) expect(value!.equals(Buffer.alloc(SIZES[key]!, key))).toBe(true);
    expect(damaged!.toSorted()).toEqual(['c', 'c1']);
  });

  it('a page without values has their sizes, and pages follow each other', async () => {
    const sizes: Record<string, number> = {};
    for (let after: string | undefined, more = true; more;) {
      const { items, next } = await engine.range({
        prefix: '',
        limit: 1,
        ...(after !== undefined && { after }),
      });
      for (const { key, size } of items) sizes[key] = size;
      more = (after = next) !== undefined;
    }
    expect(sizes).toEqual(SIZES);
    expect(await namesOf(engine, { delimiter: 'd' })).toEqual(['a', 'b', 'e', 'f', 'd']);
  });

  it('a scan has each once, names what is damaged once, and counts right', async () => {
    const damaged: string[] = [];
    const found: Record<string, number> = {};
    const onDamaged = (key: string): void => void damaged.push(key);
    for await (const entries of engine.scan({ prefix: '', values: true, onDamaged }))
      for (const { key, value } of entries) {
        expect(value.equals(Buffer.alloc(SIZES[key]!, key))).toBe(true);
        found[key] = value.length;
      }
    expect(found).toEqual(SIZES);
    expect(damaged).toEqual(['c', 'c1']);
  });
});

test('each is one change, whose size is in the log', async () => {
  const { etag } = await put(engine, 'z', 'small');
  await put(engine, 'a', large('x'));
  await engine.write({ op: 'delete', key: 'a' });
  const changes = (await changesAfter(engine, etag))!;
  expect(changes.map(({ kind, entry, value }) => [kind, entry?.size, value])).toEqual([
    ['put', LARGE, undefined],
    ['delete', undefined, undefined],
  ]);
});

test('its bytes stay as they were, and so do those of the caller, if one buffer is put twice', async () => {
  const value = allocateValue(LARGE).fill('x');
  await Promise.all(['a', 'b'].map((key) => put(engine, key, value)));
  await engine.write({ op: 'put', key: 'c', value, type: 'x/y', expiry: 'never' });
  expect(value.equals(Buffer.alloc(LARGE, 'x'))).toBe(true);
  expect(await lettersOf('a', 'b', 'c')).toEqual(['x', 'x', 'x']);
});

test('nothing is left of it beside its record', async () => {
  await engine.batch([putOf('a', large('x')), putOf('b', large('x'))], true);
  const meta = [...engine['store']['meta'].getKeys({})].filter((name) => name.startsWith('accepted'));
  expect(meta).toEqual([]);
});
