import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { countTurns } from '../../support/turns.js';
import { lmdb } from '../engines.js';
import { eventually } from '../../support/eventually.js';
import { countOf, changesAfter, namesOf, pause, put, putOf, scanned } from '../shorthand.js';

const BATCHES = 20;
const BATCH = 1000;
const SOON = { expiry: { in: 1000 } };

let engine: LmdbEngine;

/** Returns how many turns of the event loop `work` took. */
async function turnsOf(work: () => unknown): Promise<number> {
  const turns = countTurns();
  await work();
  return turns.stop();
}

const name = (i: number) => `k${String(i).padStart(6, '0')}`;

beforeEach(async () => {
  const time = new FakeTime();
  engine = lmdb.make(time.clock(), temporaryFolder()) as LmdbEngine;
  await engine.open();
  // The tests sweep when they want to.
  clearInterval(engine['sweeper']!['timer']);
  for (let i = 0; i < BATCHES; i++)
    await engine.batch(
      Array.from({ length: BATCH }, (_, j) => putOf(name(i * BATCH + j), 'x', SOON)),
      false,
    );
  await put(engine, 'k', 'stays');
  await put(engine, 'z', 'stays');
  time.advance(1000);
});

afterEach(() => engine.close());

describe('beside tens of thousands of expired entries', () => {
  it.each([false, true])('a page is full, and other work has its turn (reverse %s)', async (reverse) => {
    let names: string[] = [];
    expect(await turnsOf(async () => (names = await namesOf(engine, { reverse, limit: 2 })))).toBeGreaterThan(
      1,
    );
    expect(names).toEqual(reverse ? ['z', 'k'] : ['k', 'z']);
    expect(await namesOf(engine, { prefix: 'k0' })).toEqual([]);
    expect(await namesOf(engine, { reverse, delimiter: '9', prefix: 'k' })).toEqual(['k']);
  });

  it('a page shows one instant, whatever is written while it is read', async () => {
    const page = engine.range({ prefix: '', limit: 10 });
    await put(engine, name(BATCHES * BATCH - 1), 'new');
    const { items, next, position } = await page;
    expect([items.map(({ key }) => key), next]).toEqual([['k', 'z'], undefined]);
    expect((await changesAfter(engine, position))!.map(({ kind }) => kind)).toEqual(['expire', 'put']);
  });

  it('a scan shows what is left, and other work has its turn', async () => {
    let keys: string[] = [];
    expect(await turnsOf(async () => (keys = (await scanned(engine)).map(({ key }) => key)))).toBeGreaterThan(
      1,
    );
    expect(keys).toEqual(['k', 'z']);
  });

  it('counts are right, and other work has its turn', async () => {
    expect(await turnsOf(async () => expect(await countOf(engine, { prefix: 'k' })).toBe(1))).toBeGreaterThan(
      1,
    );
    expect(await countOf(engine, { prefix: '' })).toBe(2);
    expect(await countOf(engine, { prefix: 'k0' })).toBe(0);
  });

  it('counts are right at every moment of a sweep', async () => {
    let isSwept = false;
    const sweep = engine['sweeper']!.sweep().then(() => (isSwept = true));
    let counts = 0;
    for (; !isSwept; counts++) {
      expect(await Promise.all(['', 'k'].map((prefix) => countOf(engine, { prefix })))).toEqual([2, 1]);
    }
    await sweep;
    expect(counts).toBeGreaterThan(1);
  });

  it('one sweep runs at a time, however slow the disk is', async () => {
    const commits = engine['commits'];
    const submit = commits.submit.bind(commits);
    // It writes, too.
    await engine['indexer']!.stop();
    let [running, most] = [0, 0];
    commits.submit = async (bytes, run) => {
      most = Math.max(most, ++running);
      await pause(20);
      return submit(bytes, run).finally(() => running--);
    };
    for (let tries = 0; tries < 10; tries++) {
      void engine['sweeper']!.sweep();
      await pause(5);
    }
    await eventually(() => engine['store'].entryCount() === 2);
    expect(most).toBe(1);
  });

  it('closing does not wait until all has been swept', async () => {
    const sweep = engine['sweeper']!.sweep();
    await pause(1);
    await engine.close();
    await sweep;
  });
});
