import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { setClock } from '../../../src/storage/lmdb/store-clock.js';
import { parseTag } from '../../../src/storage/revision.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { put } from '../shorthand.js';

const YEAR_MS = 365 * 86_400_000;

let time: FakeTime;
let folder: string;
let warnings: string[];
let engine: LmdbEngine;

async function start(): Promise<void> {
  const settings = { onFailure: () => undefined, maxSnapshotAge: 60_000, watchLogBytes: 2 ** 20 };
  warnings = [];
  engine = new LmdbEngine(folder, { ...settings, report: (line) => warnings.push(line) }, time.clock());
  await engine.open();
}

beforeEach(() => {
  time = new FakeTime();
  folder = temporaryFolder();
});

afterEach(() => engine.close());

/** Leaves a store behind whose clock is a year ahead. Returns the tag of its last write. */
async function leaveAhead(): Promise<string> {
  await start();
  await put(engine, 'kept', 'x');
  const right = time.wall;
  time.setWall(right + YEAR_MS);
  const { etag } = await put(engine, 'ahead', 'x', { expiry: { in: 60_000 } });
  await engine.close();
  time.setWall(right);
  return etag;
}

describe('the clock of a store', () => {
  it('that jumps ahead while the server runs is believed, with one warning that says how far', async () => {
    await start();
    time.setWall(time.wall + YEAR_MS);
    expect(engine.now()).toBe(time.wall);
    expect(warnings).toEqual([expect.stringMatching(/moved ahead by 365 days.*pigeonhole set-clock /)]);
    expect(warnings[0]).toContain(folder);
  });

  it('that is ahead of the computer at the start is believed, with one warning', async () => {
    await leaveAhead();
    await start();
    expect(engine.now()).toBeGreaterThanOrEqual(time.wall + YEAR_MS);
    expect(warnings).toEqual([expect.stringMatching(/365 days ahead.*pigeonhole set-clock /)]);
  });

  it('that is less than an hour ahead is no reason for a warning', async () => {
    await start();
    await put(engine, 'a', 'x');
    await engine.close();
    time.setWall(time.wall - 3_500_000);
    await start();
    expect(warnings).toEqual([]);
  });

  it('is right again after set-clock, and tags still rise', async () => {
    const etag = await leaveAhead();
    expect(await setClock(folder, time.wall)).toBe(time.wall + YEAR_MS);
    await start();
    expect(engine.now()).toBe(time.wall);
    expect(warnings).toEqual([]);
    expect((await engine.get('kept'))?.value.toString()).toBe('x');
    const later = await put(engine, 'later', 'x');
    expect(later.etag > etag).toBe(true);
    expect(parseTag(later.etag)!.epoch).toBeGreaterThan(parseTag(etag)!.epoch);
  });

  it('is never set forward', async () => {
    await start();
    await put(engine, 'a', 'x');
    await engine.close();
    expect(await setClock(folder, time.wall + YEAR_MS)).toBe(time.wall);
    await start();
    expect(engine.now()).toBe(time.wall);
  });
});
