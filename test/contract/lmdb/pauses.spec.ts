import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb } from '../engines.js';
import { changesAfter, codeOf, countOf, kindOf, put, putOf, scanned, textOf } from '../shorthand.js';

/* A long atomic batch is one transaction, in which others have their turn. */

const OLD = 300;
const NEW = 600;
const VALUE = 'v'.repeat(2_000);
const CALL_MS = 0.2;
const IF_ABSENT = { condition: { ifNoneMatch: '*' } } as const;

const oldKey = (i: number) => `old/${i}`;
const puts = Array.from({ length: NEW }, (_, i) => putOf(`new/${i}`, VALUE));
/** It replaces, removes and creates. */
const CHANGES: readonly BatchOperation[] = [
  putOf('replaced', 'after'),
  ...Array.from({ length: OLD }, (_, i) => ({ op: 'delete', key: oldKey(i) }) as const),
  ...puts,
];

let engine: LmdbEngine;
let before: string;

beforeEach(async () => {
  engine = lmdb.make(new FakeTime().clock(), temporaryFolder()) as LmdbEngine;
  await engine.open();
  await put(engine, 'replaced', 'before');
  await engine.batch(
    Array.from({ length: OLD }, (_, i) => putOf(oldKey(i), 'old')),
    true,
  );
  before = engine.position();
  // However fast the machine is, time passes.
  let now = performance.now();
  jest.spyOn(performance, 'now').mockImplementation(() => (now += CALL_MS));
});

afterEach(() => {
  jest.restoreAllMocks();
  return engine.close();
});

/** Does `look` in every pause of a transaction until `work` is over. Returns how many there were. */
async function inPauses(work: Promise<unknown>, look: () => Promise<void> | void): Promise<number> {
  let isOver = false;
  void work.catch(() => undefined).finally(() => (isOver = true));
  let pauses = 0;
  while (!isOver) {
    await new Promise(setImmediate);
    if (!engine['store']['pauses'].areUnderWay) continue;
    pauses++;
    await look();
  }
  return pauses;
}

test('while it is applied, every read sees the last commit', async () => {
  const work = engine.batch(CHANGES, true);
  const looks = [
    () => expect(textOf(engine, 'replaced')).resolves.toBe('before'),
    () => expect(engine.head('new/0')).toBeUndefined(),
    () => expect(engine.head(oldKey(0))).toBeDefined(),
    () => expect(engine.position()).toBe(before),
    () => expect(engine.stats().entries).toBe(OLD + 1),
    () => expect(changesAfter(engine, before)).resolves.toEqual([]),
    () => expect(countOf(engine, { prefix: '' })).resolves.toBe(OLD + 1),
    async () => {
      const page = await engine.range({ prefix: '', limit: 1000 });
      expect(page).toMatchObject({ position: before, items: { length: OLD + 1 } });
    },
  ];
  let looked = 0;
  const pauses = await inPauses(work, () => looks[looked++ % looks.length]!());
  expect(pauses).toBeGreaterThan(2);
  expect((await work).map(kindOf)).toEqual([
    'updated',
    ...Array.from({ length: OLD }, () => 'deleted'),
    ...puts.map(() => 'created'),
  ]);
  expect(await textOf(engine, 'replaced')).toBe('after');
  expect((await scanned(engine)).map(({ key }) => key)).toHaveLength(NEW + 1);
  expect(engine.stats().entries).toBe(NEW + 1);
});

test('a scan that begins in it and ends after it shows the commit before it', async () => {
  const work = engine.batch(CHANGES, true);
  const scans: Promise<unknown>[] = [];
  await inPauses(work, () => {
    if (scans.length < 2) scans.push(scanned(engine).then(({ length }) => length));
  });
  await work;
  expect(await Promise.all(scans)).toEqual(scans.map(() => OLD + 1));
});

test('what is written meanwhile comes after it', async () => {
  const work = engine.batch(CHANGES, true);
  const writes: Promise<unknown>[] = [];
  await inPauses(work, () => {
    if (writes.length === 0)
      writes.push(put(engine, 'new/1', 'later'), put(engine, 'replaced', 'later', IF_ABSENT));
  });
  await work;
  const [written, refused] = await Promise.allSettled(writes);
  expect(written?.status).toBe('fulfilled');
  expect(refused).toMatchObject({ reason: { code: 'precondition-failed' } });
  expect(await textOf(engine, 'new/1')).toBe('later');
  expect(await textOf(engine, 'replaced')).toBe('after');
});

test('a refusal after a pause takes all of it back', async () => {
  const work = engine.batch([...CHANGES, putOf('replaced', 'x', IF_ABSENT)], true);
  expect(await codeOf(work)).toBe('precondition-failed');
  expect(await changesAfter(engine, before)).toEqual([]);
  expect(engine.stats().entries).toBe(OLD + 1);
  expect((await put(engine, 'next', 'x')).size).toBe(1);
});

test('a batch that is done once, each operation for itself, pauses too and is remembered whole', async () => {
  const write = {
    key: { id: 'a'.repeat(43), fingerprint: 'A'.repeat(43) },
    mode: 'pipeline',
    operations: CHANGES,
  } as const;
  const work = engine.writeOnce(write);
  let isWhole = true;
  const pauses = await inPauses(work, () => {
    if (engine.recall(write) || engine.head('new/0')) isWhole = false;
  });
  expect(pauses).toBeGreaterThan(2);
  expect([(await work).isReplay, isWhole]).toEqual([false, true]);
  expect(engine.recall(write)?.outcomes.map(kindOf)).toEqual((await work).outcomes.map(kindOf));
});
