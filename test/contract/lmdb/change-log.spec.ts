import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { Segment, TRAILER_BYTES, writeTrailer } from '../../../src/storage/lmdb/log-segment.js';
import type { LoggedChange } from '../../../src/storage/lmdb/logged-change.js';
import { FakeTime } from '../../support/fake-time.js';
import { Random } from '../../support/random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { changesAfter, codeOf, incrOf, put, putOf, writeAtRandom } from '../shorthand.js';

const KIB = 1024;
const LOG_BYTES = 256 * KIB;

let root: string;
let time: FakeTime;
let engine: LmdbEngine;
beforeEach(async () => {
  root = temporaryFolder();
  time = new FakeTime();
  await start();
});
afterEach(() => engine.close());

const folder = () => join(root, 'data');

async function start(watchLogBytes = LOG_BYTES): Promise<void> {
  const onFailure = (error: Error) => {
    throw error;
  };
  engine = new LmdbEngine(folder(), { onFailure, maxSnapshotAge: 600_000, watchLogBytes }, time.clock());
  await engine.open();
}

/** A restart some seconds later. */
async function restart(watchLogBytes?: number): Promise<void> {
  await engine.close();
  time.advance(2000);
  await start(watchLogBytes);
}

function segments(): { key: number; bytes: Buffer }[] {
  return [...engine['store'].log.getRange({ start: 0 })].map(({ key, value }) => ({ key, bytes: value }));
}

function logged(): number {
  return segments().reduce((sum, { bytes }) => sum + bytes.length, 0);
}

describe('the change log', () => {
  it('stays within its bound in bytes whatever is written, and knows its size', async () => {
    for (let i = 0; i < 40; i++) {
      const size = [10, 3000, 60_000][i % 3]!;
      await engine.batch(
        Array.from({ length: 20 }, (_, j) => putOf(`k${j}`, Buffer.alloc(size))),
        true,
      );
      expect(logged()).toBeLessThanOrEqual(LOG_BYTES);
      expect(engine['store'].readHead().log.bytes).toBe(logged());
    }
  });

  it('shrinks when its bound is lowered', async () => {
    await restart(4 * 1024 * KIB);
    for (let i = 0; i < 60; i++) await put(engine, 'k', Buffer.alloc(50 * KIB));
    expect(logged()).toBeGreaterThan(2048 * KIB);
    await restart(128 * KIB);
    await put(engine, 'k', 'x');
    expect(logged()).toBeLessThanOrEqual(128 * KIB);
  });

  it('is bounded by its bytes alone, however many changes they hold', async () => {
    await restart(64 * 1024 * KIB);
    const old = engine.position();
    for (let i = 0; i < 105; i++) {
      await engine.batch(
        Array.from({ length: 1000 }, (_, j) => putOf(`k${j}`, '')),
        true,
      );
    }
    expect(engine['store'].readHead().log.count).toBe(105_000);
    expect(engine.changes(old)?.changes[0]?.key).toBe('k0');
  });

  it('serves its floor, and no position before it', async () => {
    const positions = [];
    for (let i = 0; i < 20; i++) {
      await put(engine, `k${i}`, Buffer.alloc(50_000));
      positions.push(engine.position());
    }
    const held = segments().length;
    expect(held).toBeLessThan(20);
    const floor = positions.length - held - 1;
    expect(engine.changes(positions[floor]!)!.changes[0]!.key).toBe(`k${floor + 1}`);
    expect(engine.changes(positions[floor - 1]!)).toBeUndefined();
  });

  it('has one segment for a small transaction and several for a large one', async () => {
    await engine.batch([putOf('a', '1'), putOf('b', '2'), putOf('c', '3')], true);
    expect(segments()).toHaveLength(1);
    await engine.batch(
      Array.from({ length: 30 }, (_, i) => putOf(`k${i}`, Buffer.alloc(6000))),
      true,
    );
    const lengths = segments().map(({ bytes }) => bytes.length);
    expect(lengths.length).toBeGreaterThan(2);
    expect(Math.max(...lengths)).toBeLessThan(140 * KIB);
  });

  it('fails with corrupt at a damaged segment, which it never returns', async () => {
    const start = engine.position();
    await put(engine, 'a', 'value');
    const [{ key, bytes }] = segments() as [{ key: number; bytes: Buffer }];
    for (const at of [0, 9, 22, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      await engine['store'].transaction(() => void engine['store'].log.put(key, damaged));
      expect(await codeOf((async () => engine.changes(start))())).toBe('corrupt');
    }
    expect((await engine.get('a'))?.value.toString()).toBe('value');
    await put(engine, 'b', 'goes on');
  });

  it('serves the changes after a damaged segment, also when that has left the log', async () => {
    const start = engine.position();
    await put(engine, 'damaged', Buffer.alloc(50 * KIB));
    const afterDamaged = engine.position();
    await put(engine, 'a', 'x');
    const [{ key, bytes }] = segments() as [{ key: number; bytes: Buffer }];
    // The whole trailer: how many changes the segment has, and which is the last.
    await engine['store'].transaction(
      () => void engine['store'].log.put(key, Buffer.from(bytes).fill(0xff, bytes.length - 20)),
    );
    expect(await codeOf((async () => engine.changes(start))())).toBe('corrupt');
    const after = engine.position();
    await put(engine, 'b', 'x');
    expect(engine.changes(after)!.changes.map((change) => change.key)).toEqual(['b']);

    for (let i = 0; segments()[0]!.key === key; i++) {
      expect(i).toBeLessThan(20);
      await put(engine, 'c', Buffer.alloc(50 * KIB));
    }
    const { log } = engine['store'].readHead();
    expect(log.bytes).toBe(logged());
    expect(log.count).toBe(segments().length);
    expect(engine.changes(start)).toBeUndefined();
    expect(engine.changes(afterDamaged)!.changes[0]!.key).toBe('a');
  });
});

describe('each change in the log', () => {
  it('leads to the put of what it replaced or removed, so that nothing else has to be read of one key', async () => {
    const start = engine.position();
    const random = new Random(9);
    for (let i = 0; i < 300; i++) {
      await writeAtRandom(engine, random);
      if (random.chance(0.1)) time.advance(30_000);
    }
    const live = new Map<string, number>();
    let met = 0;
    for (const change of (await changesAfter(engine, start)) as LoggedChange[]) {
      const { key, kind, sequence, replaces } = change;
      expect({ key, sequence, replaces }).toEqual({ key, sequence, replaces: live.get(key) });
      if (replaces !== undefined) met++;
      if (kind === 'put') live.set(key, sequence);
      else live.delete(key);
    }
    expect(met).toBeGreaterThan(100);
  });

  it('of a kind that only a later version knows is passed over', async () => {
    const start = engine.position();
    await engine.batch([putOf('a', '1'), putOf('b', '1'), putOf('c', '1')], true);
    const [{ key, bytes }] = segments() as [{ key: number; bytes: Buffer }];
    const { count, last } = Segment.parse(bytes)!;
    const changed = Buffer.from(bytes);
    changed[(changed.length - TRAILER_BYTES) / count] = 200;
    writeTrailer(changed, changed.length - TRAILER_BYTES, count, last);
    await engine['store'].transaction(() => void engine['store'].log.put(key, changed));
    expect(engine.changes(start)!.changes.map((change) => change.key)).toEqual(['a', 'c']);
  });

  it('has who made it, even with a longer id than today', async () => {
    const ids = ['a', 'x'.repeat(12), 'y'.repeat(255)];
    const start = engine.position();
    for (const by of ids) await engine.write({ ...putOf('k', Buffer.alloc(70_000)), by });
    for (const by of ids) await engine.batch([putOf('k', by), { op: 'delete', key: 'k', by }], true);
    const by = (await changesAfter(engine, start))!.map((change) => change.by);
    expect(by).toEqual([...ids, ...ids.flatMap((id) => [undefined, id])]);
  });
});

describe('a data folder that was copied back', () => {
  it('serves no position of the lost life', async () => {
    await put(engine, 'a', '0');
    await restart();
    const kept = engine.position();
    await engine.close();
    copyFileSync(join(folder(), 'data.mdb'), join(root, 'copy.mdb'));
    time.advance(2000);
    await start();
    const lost: string[] = [];
    for (let i = 0; i < 5; i++) {
      await put(engine, 'a', `lost ${i}`);
      lost.push(engine.position());
    }
    await engine.close();
    copyFileSync(join(root, 'copy.mdb'), join(folder(), 'data.mdb'));
    time.advance(2000);
    await start();
    const served = () => lost.map((position) => engine.changes(position));
    const none = lost.map(() => undefined);
    expect(served()).toEqual(none);
    expect(engine.changes(kept)?.changes).toEqual([]);
    // A refused batch takes revisions without a change.
    for (let i = 0; i < 3; i++) {
      await codeOf(engine.batch([putOf('b', 'x'), incrOf('b', 1n)], true));
      expect(served()).toEqual(none);
    }
    for (let i = 0; i < 6; i++) {
      await put(engine, 'b', `${i}`);
      expect(served()).toEqual(none);
    }
    expect(engine.changes(kept)!.changes.map(({ key }) => key)).toEqual(Array.from({ length: 6 }, () => 'b'));
  });
});
