import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import type { Entry } from '../../../src/storage/entry.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb, MAX_SNAPSHOT_AGE } from '../engines.js';
import { countOf, codeOf, keysScanned, put, putOf, refusalOf } from '../shorthand.js';

const SLOTS = 16;
const MIB = 2 ** 20;

type Reader = AsyncIterator<readonly Entry[]>;

let engine: LmdbEngine;

/** Starts a scan, which then holds a slot. */
async function begin(): Promise<Reader> {
  const reader = engine.scan({ prefix: '', values: true })[Symbol.asyncIterator]();
  await reader.next();
  return reader;
}

function beginAll(): Promise<Reader[]> {
  return Promise.all(Array.from({ length: SLOTS }, begin));
}

beforeEach(async () => {
  // The engine's deadlines use the fake time, LMDB's own callbacks do not.
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask'] });
  engine = lmdb.make(new FakeTime().clock(), temporaryFolder()) as LmdbEngine;
  await engine.open();
  await engine.batch(
    Array.from({ length: 2000 }, (_, i) => putOf(`k${i}`, 'x')),
    true,
  );
});

afterEach(async () => {
  jest.useRealTimers();
  await engine.close();
});

describe('scans:', () => {
  it('when all slots are taken, the next scan waits and starts as soon as one is released', async () => {
    const readers = await beginAll();
    let began = false;
    const next = begin().then((reader) => ((began = true), reader));
    await new Promise(setImmediate);
    expect(began).toBe(false);
    await readers[3]!.return!();
    await next;
    expect(began).toBe(true);
  });

  it('a scan that waits 10 s for a slot is busy, and no slot is lost', async () => {
    const readers = await beginAll();
    const refused = codeOf(begin());
    await jest.advanceTimersByTimeAsync(10_000);
    expect(await refused).toBe('busy');
    for (const reader of readers) await reader.return!();
    for (const reader of await beginAll()) await reader.return!();
    expect(await keysScanned(engine)).toHaveLength(2000);
  });

  it('all other reads and writes go on while every slot is taken', async () => {
    await beginAll();
    await put(engine, 'new', 'x');
    expect(engine.head('new')?.size).toBe(1);
    expect((await engine.range({ prefix: 'new', limit: 1 })).items).toHaveLength(1);
    expect(await countOf(engine, { prefix: '' })).toBe(2001);
  });

  it('a scan without progress for 30 s ends with an error, and its slot is free', async () => {
    const readers = await beginAll();
    await jest.advanceTimersByTimeAsync(32_000);
    expect(await codeOf(readers[0]!.next())).toBe('unavailable');
    await Promise.all(readers.slice(1).map((reader) => codeOf(reader.next())));
    expect(await keysScanned(engine)).toHaveLength(2000);
  });

  it('a scan that makes progress ends only at the greatest age of a snapshot', async () => {
    await put(engine, 'big/0', 'x');
    const big = Array.from({ length: 60 }, (_, i) => putOf(`big/${i}`, Buffer.alloc(300 * 1024)));
    await engine.batch(big, true);
    const reader = engine.scan({ prefix: 'big/', values: true })[Symbol.asyncIterator]();
    let seconds = 0;
    let refusal = await refusalOf(reader.next());
    while (refusal.code === 'not refused' && seconds < 2 * (MAX_SNAPSHOT_AGE / 1000)) {
      await jest.advanceTimersByTimeAsync(20_000);
      seconds += 20;
      refusal = await refusalOf(reader.next());
    }
    expect(refusal).toEqual({ code: 'unavailable', setting: 'MAX_SNAPSHOT_AGE' });
    expect(seconds).toBeGreaterThanOrEqual(MAX_SNAPSHOT_AGE / 1000);
    expect(seconds).toBeLessThanOrEqual(MAX_SNAPSHOT_AGE / 1000 + 40);
  });

  it('a scan ends when the file has grown too much because of it, and not because of new entries', async () => {
    await engine.close();
    const settings = {
      onFailure: () => undefined,
      maxSnapshotAge: MAX_SNAPSHOT_AGE,
      maxSnapshotBytes: 2 * MIB,
      watchLogBytes: MIB,
    };
    engine = new LmdbEngine(temporaryFolder(), settings, new FakeTime().clock());
    await engine.open();
    const fill = (prefix: string) =>
      engine.batch(
        Array.from({ length: 8 }, (_, i) => putOf(`${prefix}${i}`, Buffer.alloc(MIB))),
        true,
      );
    await fill('a');
    const reader = await begin();
    await fill('b');
    await jest.advanceTimersByTimeAsync(1000);
    expect(await codeOf(reader.next())).toBe('not refused');
    for (let round = 0; round < 3; round++) await fill('a');
    await jest.advanceTimersByTimeAsync(1000);
    expect(await refusalOf(reader.next())).toEqual({ code: 'unavailable', setting: 'MAX_SNAPSHOT_BYTES' });
    const { storedBytes } = engine.stats();
    for (let round = 0; round < 3; round++) await fill('a');
    expect(engine.stats().storedBytes).toBeLessThan(storedBytes! + 4 * MIB);
  });

  it('closing ends running scans with an error, so that none seems complete', async () => {
    const reader = await begin();
    await engine.close();
    expect(await codeOf(reader.next())).toBe('unavailable');
  });
});
