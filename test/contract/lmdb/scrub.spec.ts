import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseError } from '../../../src/errors.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { expiryKey } from '../../../src/storage/lmdb/keys.js';
import type { Scans } from '../../../src/storage/lmdb/scans.js';
import { readSlice, START, type Place } from '../../../src/storage/lmdb/scrub/slice.js';
import type { Store } from '../../../src/storage/lmdb/store.js';
import { SoundFile } from '../../support/damaged-file.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { put, putOf } from '../shorthand.js';

const COUNT = 3000;
const PAGE = 4096;

let time: FakeTime;
let folder: string;
let path: string;
let engine: LmdbEngine;

const nameOf = (i: number) => `k/${String(i).padStart(6, '0')}`;

async function open(): Promise<void> {
  const settings = { onFailure: () => undefined, maxSnapshotAge: 60_000, watchLogBytes: 2 ** 20 };
  engine = new LmdbEngine(folder, settings, time.clock());
  await engine.open();
}

/** Stores entries with and without expiry, and some large ones. */
async function fill(): Promise<void> {
  const all = Array.from({ length: COUNT }, (_, i) =>
    putOf(nameOf(i), `value ${i} `.repeat(i % 100 === 0 ? 1000 : 8), {
      expiry: i % 3 === 0 ? { in: 3_600_000 } : 'never',
    }),
  );
  await engine.batch(all, true);
}

/** What a read of a damaged entry says. */
function detailOf(key: string): string {
  try {
    void engine.get(key);
    return 'it was read';
  } catch (error) {
    return (error as DatabaseError).detail;
  }
}

/** Reads all of the file, page by page. */
function faultsOf(): { faults: string[]; places: Place[] } {
  const faults: string[] = [];
  const places: Place[] = [];
  for (let place: Place | undefined = START; place;) {
    const slice = readSlice(path, place, () => true);
    faults.push(...slice.faults);
    place = slice.next;
    if (place) places.push(place);
  }
  return { faults, places };
}

beforeEach(async () => {
  time = new FakeTime();
  folder = temporaryFolder();
  path = join(folder, 'data.mdb');
  await open();
  await fill();
});

afterEach(() => engine.close());

describe('the background check', () => {
  it('finds nothing in a sound store, and reads every page of it once, tree by tree', () => {
    const { faults, places } = faultsOf();
    expect(faults).toEqual([]);
    expect(new Set(places.map(({ tree, from }) => `${tree} ${from}`)).size).toBe(places.length);
    const trees = places.map(({ tree }) => tree);
    expect(trees).toEqual(trees.toSorted());
    const { leaves } = new SoundFile(path);
    expect(trees.filter((tree) => tree === 'entries').length).toBe(leaves.length - 1);
  });

  it('names each key whose record is damaged, in the words of a read', async () => {
    await engine.close();
    const sound = new SoundFile(path);
    const damaged = [0, 1, 300, 1234, 2999].map((i) => sound.entries.get(nameOf(i))!);
    const bytes = sound.copy();
    for (const { valueAt } of damaged) bytes[valueAt + 2]! ^= 4;
    writeFileSync(path, bytes);
    await open();
    expect(faultsOf().faults).toEqual(damaged.map(({ key }) => detailOf(key)));
  });

  it('names the keys of pages that cannot be reached, and goes on after them', async () => {
    await engine.close();
    const sound = new SoundFile(path);
    const bytes = sound.copy();
    const [first, second] = [sound.leaves[5]!, sound.leaves.at(-1)!];
    for (const page of [first, second]) bytes.fill(0, page * PAGE, page * PAGE + 24);
    writeFileSync(path, bytes);
    await open();
    const { faults } = faultsOf();
    expect(faults).toEqual([
      expect.stringMatching(`entries, "k/.*" to before "k/.*": its header is damaged \\(page ${first}\\)`),
      expect.stringMatching(`entries, "k/.*" to the last key: its header is damaged \\(page ${second}\\)`),
    ]);
  });

  it('names entries that would never be removed, because they are missing in the index of expiries', async () => {
    const store = engine['store'] as Store;
    const { expires } = engine.head(nameOf(6))!;
    await store.transaction(() => void store.expiry.remove(expiryKey(expires, nameOf(6))));
    expect(faultsOf().faults).toEqual([expect.stringContaining(`"${nameOf(6)}" is missing in the index`)]);
  });

  it('tells of meta pages that are damaged, and searches no whole file for what they said', () => {
    const bytes = readFileSync(path);
    bytes.fill(0, 24, 200);
    path = join(temporaryFolder(), 'data.mdb');
    writeFileSync(path, bytes);
    expect(faultsOf()).toEqual({ faults: ['meta page 0: its header is damaged'], places: [] });
  });

  it('takes nothing for damage that is written meanwhile, because each slice has a snapshot', async () => {
    const scans = engine['scans'] as Scans;
    const faults: string[] = [];
    for (let pass = 0; pass < 3; pass++) {
      for (let place: Place | undefined = START; place;) {
        const at: Place = place;
        const slice = await scans.hold(async () => {
          // Two commits after the beginning of the snapshot use what the last one has freed.
          for (let i = 0; i < 3; i++) await put(engine, nameOf((pass * 7 + i * 501) % COUNT), `new ${pass}`);
          return readSlice(path, at, () => true);
        });
        faults.push(...slice.faults);
        place = slice.next;
      }
    }
    expect(faults).toEqual([]);
  });

  it('throws away what it has read if its snapshot could not be kept as long', async () => {
    const scans = engine['scans'] as Scans;
    const held = scans.hold(async () => scans.close());
    await expect(held).rejects.toMatchObject({ code: 'unavailable' });
  });
});
