import { describe, expect, test } from '@jest/globals';
import { LmdbEngine } from '../../src/storage/lmdb/engine.js';
import { contents, Life, randomLives, restore } from './past-life.js';
import { put, putOf } from './shorthand.js';

function onDisk({ folder, watchLogBytes, time }: Life): LmdbEngine {
  const onFailure = (error: Error) => {
    throw error;
  };
  return new LmdbEngine(folder, { onFailure, maxSnapshotAge: 600_000, watchLogBytes }, time.clock());
}

describe('a random life of a database', () => randomLives(onDisk));

test('what others change while a range is put back is newer, and stays', async () => {
  const life = await Life.begin(onDisk, 2 ** 26);
  try {
    const { engine } = life;
    const keys = Array.from({ length: 1500 }, (_, i) => `p/${String(i).padStart(4, '0')}`);
    const write = (value: string) =>
      engine.batch(
        keys.map((key) => putOf(key, value)),
        false,
      );
    await write('old');
    const position = await engine.position();
    await write('new');
    await engine.write({ op: 'delete', key: 'p/0000' });
    const others: Promise<unknown>[] = [];
    // The first chunk is on the disk, so that the restore has begun.
    const stop = engine.onChange(() => {
      stop();
      others.push(put(engine, 'p/1499', 'newest'), engine.write({ op: 'delete', key: 'p/1498' }));
      others.push(put(engine, 'p/made', 'newest'), put(engine, 'p/0001', 'newest'));
    });
    const { restored, deleted, errorCount } = await restore(engine, 'p/', { tag: position });
    await Promise.all(others);
    expect(others).toHaveLength(4);
    expect(deleted).toBe(0);
    expect(restored + errorCount).toBeGreaterThanOrEqual(1499);
    const after = await contents(engine, 'p/');
    const textOf = (key: string) =>
      Buffer.from((after.get(key) as { value: string } | undefined)?.value ?? '', 'hex').toString();
    expect(['p/0001', 'p/1499', 'p/made', 'p/1498'].map(textOf)).toEqual(['newest', 'newest', 'newest', '']);
    expect(['p/0000', 'p/0002', 'p/0700'].map(textOf)).toEqual(['old', 'old', 'old']);
  } finally {
    await life.end();
  }
});
