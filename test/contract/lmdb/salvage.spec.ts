import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Check } from '../../../src/storage/lmdb/check.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { PageFile } from '../../../src/storage/lmdb/pages/page-file.js';
import { Salvage, type SalvageReport } from '../../../src/storage/lmdb/salvage/salvage.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import { PAGE, portraitOf, SoundFile } from '../../support/damaged-file.js';
import { FakeTime } from '../../support/fake-time.js';
import { shortOrLong } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder.js';
import { putOf, scanned } from '../shorthand.js';

const ENTRIES = shortOrLong(8_000, 20_000);
const CHANGES = shortOrLong(5_000, 12_000);
const AT_ONCE = 100;
const MADE_WITHIN_MS = 300_000;
const META_BYTES = shortOrLong([88], [24, 48, 88, 136, 144, 155]);

const random = new Random(11);
const time = new FakeTime();
let root: string;
let sound: SoundFile;
/** What the engine gives when everything is read from it. */
let exported: string[];

beforeAll(async () => {
  root = temporaryFolder();
  const folder = join(root, 'data');
  mkdirSync(folder);
  const engine = new LmdbEngine(
    folder,
    // A log that reaches back to some of the changes only.
    { onFailure: (error) => expect(error).toBeUndefined(), maxSnapshotAge: 600_000, watchLogBytes: 2 ** 18 },
    time.clock(),
  );
  await engine.open();
  const operations = [...Array(ENTRIES).keys()].map((i) => putNumber(i)).concat(changes());
  for (let i = 0; i < operations.length; i += AT_ONCE) {
    await engine.batch(operations.slice(i, i + AT_ONCE), false);
    time.advance(10);
  }
  exported = (await scanned(engine)).map(portraitOf);
  mkdirSync(join(root, 'copy'));
  await engine['store']['root'].backup(join(root, 'copy'), true);
  await engine.close();
  sound = new SoundFile(join(folder, 'data.mdb'));
}, MADE_WITHIN_MS);

afterAll(() => removeFolder(root));

function putNumber(i: number): BatchOperation {
  const size = random.chance(0.01) ? 2_000 + random.below(40_000) : random.below(160);
  const value = Buffer.alloc(size, `value ${random.below(1000)} `);
  return putOf(`user/${(i * 7919) % ENTRIES}`, value, {
    expiry: random.chance(0.1) ? { at: time.wall + 3_600_000 } : 'never',
    ...(random.chance(0.1) && { type: 'application/x-own' }),
  });
}

/** Overwrites and deletions. */
function changes(): BatchOperation[] {
  return Array.from({ length: CHANGES }, () => {
    const i = random.below(ENTRIES);
    return random.chance(0.25) ? { op: 'delete', key: `user/${i}` } : putNumber(i);
  });
}

interface Outcome {
  readonly file: string;
  readonly report: SalvageReport;
  /** Entries that came back as they were last written. */
  readonly same: number;
  /** Keys that came back with an older state. */
  readonly older: readonly string[];
  readonly lost: readonly string[];
  /** Deleted keys that came back. */
  readonly dead: readonly string[];
  /** Keys that the salvage says may be older or deleted. */
  readonly uncertain: ReadonlySet<string>;
}

let files = 0;

/** Salvages `bytes` and compares with what was in the sound file. */
function salvage(name: string, bytes: Buffer): Outcome {
  const path = join(root, `damaged-${files++}.mdb`);
  writeFileSync(path, bytes);
  const file = PageFile.open(path);
  const uncertain = new Set<string>();
  const work = new Salvage(file, { uncertain: ({ key }) => uncertain.add(key) }, time.wall);
  const found = new Map<string, string>();
  for (const entry of work.entries()) {
    expect(found.has(entry.key)).toBe(false);
    found.set(entry.key, portraitOf(entry));
  }
  file.close();
  const placed = [...sound.entries.values()];
  const outcome = {
    file: path,
    report: work.report,
    same: placed.filter(({ key, portrait }) => found.get(key) === portrait).length,
    older: placed
      .filter(({ key, portrait }) => (found.get(key) ?? portrait) !== portrait)
      .map(({ key }) => key),
    lost: placed.filter(({ key }) => !found.has(key)).map(({ key }) => key),
    dead: [...found.keys()].filter((key) => !sound.entries.has(key)),
    uncertain,
  };
  const { report, same, older, lost, dead } = outcome;
  process.stdout.write(
    `salvage, ${name}: ${report.whole} of ${placed.length} whole, ${same} saved, ${older.length} older, ${lost.length} lost, ` +
      `${dead.length} returned from the dead, ${uncertain.size} uncertain\n`,
  );
  return outcome;
}

/** What is given as certain is as it was last written, and whatever lies in no damaged page is given. */
function expectHonest({ older, dead, lost, uncertain }: Outcome, damaged: ReadonlySet<number>): void {
  expect([...older, ...dead].filter((key) => !uncertain.has(key))).toEqual([]);
  const needless = [...lost, ...older].filter(
    (key) => !sound.entries.get(key)!.pages.some((page) => damaged.has(page)),
  );
  expect(needless).toEqual([]);
}

function checked(path: string): { faults: string[]; sound: boolean } {
  const faults: string[] = [];
  const file = PageFile.open(path);
  const { faults: count } = new Check(file, (fault) => faults.push(fault)).run();
  file.close();
  return { faults, sound: count === 0 };
}

function flip(bytes: Buffer, at: number, bit = random.below(8)): Buffer {
  bytes[at]! ^= 1 << bit;
  return bytes;
}

describe('of a sound file', () => {
  it.each(['data/data.mdb', 'copy/data.mdb'])(
    '%s, a check finds nothing, and a salvage is what an export is',
    (name) => {
      const path = join(root, name);
      expect(checked(path)).toEqual({ faults: [], sound: true });
      const file = PageFile.open(path);
      const work = new Salvage(file, {}, time.wall);
      expect([...work.entries()].map(portraitOf)).toEqual(exported);
      expect(work.report).toMatchObject({
        whole: exported.length,
        recovered: 0,
        uncertain: 0,
        damagedPages: 0,
      });
      file.close();
    },
  );

  it('entries that have expired are left out, as a server would', () => {
    const file = PageFile.open(join(root, 'data', 'data.mdb'));
    const work = new Salvage(file, {}, time.wall + 3_700_000);
    const found = [...work.entries()];
    file.close();
    expect(found.filter(({ expires }) => expires !== 0)).toEqual([]);
    expect(work.report.expired).toBe(exported.length - found.length);
    expect(work.report.expired).toBeGreaterThan(0);
  });
});

describe('one flipped bit', () => {
  it.each(shortOrLong([1], [1, 2, 3, 4]))('in a value costs at most that value (%i)', (i) => {
    const large = i > 2;
    const entry = random.pick(
      [...sound.entries.values()].filter(({ size }) => (large ? size > 5000 : size > 20)),
    );
    const bytes = flip(sound.copy(), entry.valueAt + random.below(entry.size));
    const outcome = salvage(`a bit in a ${large ? 'large ' : ''}value`, bytes);
    expectHonest(outcome, new Set(entry.pages));
    expect([...outcome.lost, ...outcome.older].filter((key) => key !== entry.key)).toEqual([]);
    expect(outcome.dead).toEqual([]);
    const { faults } = checked(outcome.file);
    expect(faults[0]).toContain(`key ${JSON.stringify(entry.key)}: its record fails its checksum`);
  });

  it.each(shortOrLong([8, 22], [0, 8, 16, 18, 20, 22, 24]))(
    'in a leaf’s header, byte %i, costs nothing',
    (at) => {
      const leaf = random.pick(sound.leaves);
      const outcome = salvage(`a bit in a leaf's header, byte ${at}`, flip(sound.copy(), leaf * PAGE + at));
      expect({ ...outcome, file: '', report: {} }).toMatchObject({ older: [], lost: [], dead: [] });
    },
  );

  it.each(shortOrLong([18, 3000], [0, 8, 18, 20, 22, 30, 3000, 4000]))(
    'in an inner page, byte %i, costs nothing',
    (at) => {
      const branch = random.pick(sound.branches);
      const outcome = salvage(`a bit in an inner page, byte ${at}`, flip(sound.copy(), branch * PAGE + at));
      expect({ ...outcome, file: '', report: {} }).toMatchObject({ older: [], lost: [], dead: [] });
      expect(outcome.uncertain.size).toBe(0);
    },
  );

  it.each([0, 1].flatMap((meta) => META_BYTES.map((at) => [meta, at] as const)))(
    'in meta page %i, byte %i, costs nothing',
    (meta, at) => {
      const outcome = salvage(`a bit in meta page ${meta}, byte ${at}`, flip(sound.copy(), meta * PAGE + at));
      expect({ ...outcome, file: '', report: {} }).toMatchObject({ older: [], lost: [], dead: [] });
      expect(outcome.uncertain.size).toBe(0);
    },
  );

  it.each(shortOrLong([20], [18, 20, 4090]))(
    'in the page that names the trees, byte %i, costs nothing',
    (at) => {
      const bytes = flip(sound.copy(), sound.snapshot.page * PAGE + at);
      const outcome = salvage(`a bit in the page of trees, byte ${at}`, bytes);
      expect({ ...outcome, file: '', report: {} }).toMatchObject({ older: [], lost: [], dead: [] });
    },
  );
});

describe('a file', () => {
  it('whose root of entries is zeroed gives back everything, with certainty', () => {
    const bytes = sound.copy().fill(0, sound.branches[0]! * PAGE, (sound.branches[0]! + 1) * PAGE);
    const outcome = salvage('root of entries zeroed', bytes);
    expect(outcome).toMatchObject({ same: sound.entries.size, dead: [] });
    expect(outcome.uncertain.size).toBe(0);
  });

  it('whose two meta pages are zeroed gives back everything', () => {
    const outcome = salvage('both meta pages zeroed', sound.copy().fill(0, 0, 2 * PAGE));
    expect(outcome).toMatchObject({ same: sound.entries.size, dead: [] });
  });

  it('without its last page gives back all that is not in it', () => {
    const outcome = salvage('without its last page', sound.copy().subarray(0, -PAGE));
    expectHonest(outcome, new Set([sound.pages - 1]));
  });

  it('cut to any length says of nothing that it is certain when it is not', () => {
    for (const eighths of shortOrLong([3], [1, 2, 3, 4, 5, 6, 7])) {
      const pages = Math.floor((sound.pages * eighths) / 8);
      const outcome = salvage(`${eighths} eighths of the file`, sound.copy().subarray(0, pages * PAGE));
      expectHonest(outcome, new Set([...Array(sound.pages).keys()].slice(pages)));
    }
  });

  it.each(['first', 'second'])('of which only the %s half is left gives back all that is in it', (half) => {
    const middle = Math.floor(sound.pages / 2);
    const copy = sound.copy();
    const bytes = half === 'first' ? copy.subarray(0, middle * PAGE) : copy.fill(0, 0, middle * PAGE);
    const lost = [...Array(sound.pages).keys()].filter((page) => page < middle !== (half === 'first'));
    const outcome = salvage(`only the ${half} half`, bytes);
    expectHonest(outcome, new Set(lost));
    expect(outcome.dead.length).toBeLessThan(sound.entries.size / 50);
  });

  it('with 200 zeroed pages gives back all that is in none of them', () => {
    const zeroed = new Set(Array.from({ length: 200 }, () => 2 + random.below(sound.pages - 2)));
    const bytes = sound.copy();
    for (const page of zeroed) bytes.fill(0, page * PAGE, (page + 1) * PAGE);
    const outcome = salvage('200 zeroed pages', bytes);
    expectHonest(outcome, zeroed);
    expect(checked(outcome.file).sound).toBe(false);
  });

  it('with 8 random bytes in 200 leaves and inner pages gives back all that is in none of these leaves', () => {
    const damaged = new Set([
      ...sound.branches.slice(0, 5),
      ...Array.from({ length: 195 }, () => random.pick(sound.leaves)),
    ]);
    const bytes = sound.copy();
    const holes = [...damaged].map((page) => page * PAGE + random.below(PAGE - 8));
    for (const at of holes) for (let i = 0; i < 8; i++) bytes[at + i] = random.below(256);
    const outcome = salvage('8 bytes in 200 pages', bytes);
    expectHonest(outcome, damaged);
  });

  it.each([
    ['is empty', () => Buffer.alloc(0)],
    ['is all zeros', () => Buffer.alloc(sound.bytes.length)],
    ['is a text', () => Buffer.from('not a database at all\n'.repeat(1000))],
    ['has its pages one page too far', () => Buffer.concat([Buffer.alloc(PAGE), sound.bytes])],
  ])('that %s gives nothing and ends nobody', (_name, make) => {
    const outcome = salvage('foreign bytes', make());
    expect(outcome).toMatchObject({ same: 0, older: [], dead: [] });
    expect(checked(outcome.file).sound).toBe(false);
  });
});
