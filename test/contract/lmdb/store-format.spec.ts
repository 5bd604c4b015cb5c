import { afterEach, beforeEach, describe, expect, it, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { Migration } from '../../../src/migration/migration.js';
import type { Entry, EntryHeader } from '../../../src/storage/entry.js';
import { Check } from '../../../src/storage/lmdb/check.js';
import { compact } from '../../../src/storage/lmdb/compact.js';
import { openRoot } from '../../../src/storage/lmdb/environment.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { readFormat } from '../../../src/storage/lmdb/pages/head.js';
import { PageFile } from '../../../src/storage/lmdb/pages/page-file.js';
import { findSnapshot } from '../../../src/storage/lmdb/pages/snapshot.js';
import { Salvage } from '../../../src/storage/lmdb/salvage/salvage.js';
import { isReadable, STORE_FORMAT } from '../../../src/storage/lmdb/store-format.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { OpenSettings } from '../../../src/storage/open-settings.js';
import type { Change, StorageEngine } from '../../../src/storage/storage-engine.js';
import { FakeTime } from '../../support/fake-time.js';
import { portraitOf } from '../../support/damaged-file.js';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder.js';
import { changesAfter, headerOf, put, putOf, scanned } from '../shorthand.js';

/** What a version has stored (make-store.mjs). Short values are there as base64, long ones as a digest. */
interface Contents {
  /** A position that has left the log, one in it and the last one. */
  readonly gone: string;
  readonly middle: string;
  readonly last: string;
  readonly now: number;
  readonly entries: readonly (EntryHeader & Stored)[];
  readonly changes: readonly (LoggedParts & Stored)[];
  readonly system: readonly { readonly name: string; readonly text: string }[];
}

/** Format 2 has neither time nor by. */
type LoggedParts = Pick<Change, 'position' | 'kind' | 'key' | 'etag' | 'entry'> &
  Partial<Pick<Change, 'time' | 'by'>>;

interface Stored {
  readonly base64?: string;
  readonly sha256?: string;
}

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures');
/** Every format that is read. */
const FORMATS = [2, 3];
/** No version was released with it. */
const UNREADABLE = 1;

let contents: Contents;
let root: string;
let folder: string;
let file: string;
let time: FakeTime;
let engine: LmdbEngine | undefined;
beforeEach(() => {
  root = temporaryFolder();
  folder = join(root, 'data');
  file = join(folder, 'data.mdb');
  mkdirSync(folder);
  time = new FakeTime();
});
afterEach(async () => {
  await engine?.close();
  engine = undefined;
  removeFolder(root);
});

function fixture(format: number, name: string): Buffer {
  return readFileSync(join(FIXTURES, `store-format-${format}`, name));
}

/** Puts the folder that a version of `format` has left where `open` finds it. */
function putFolder(format: number): void {
  contents = JSON.parse(fixture(format, 'contents.json').toString()) as Contents;
  writeFileSync(file, brotliDecompressSync(fixture(format, 'data.mdb.br')));
  time.setWall(contents.now + 60_000);
}

async function open(access: OpenSettings = {}): Promise<LmdbEngine> {
  const onFailure = (error: Error) => {
    throw error;
  };
  const settings = { onFailure, maxSnapshotAge: 600_000, watchLogBytes: 2 ** 20, ...access };
  engine = new LmdbEngine(folder, settings, time.clock());
  await engine.open();
  return engine;
}

function stored(value: Buffer | undefined, expected: Stored): Stored {
  if (!value) return {};
  if (expected.base64 !== undefined) return { base64: value.toString('base64') };
  return { sha256: createHash('sha256').update(value).digest('hex') };
}

async function expectContents(database: StorageEngine): Promise<void> {
  const entries = await scanned(database);
  const found = entries.map((entry, i) => ({
    ...headerOf(entry),
    ...stored(entry.value, contents.entries[i] ?? {}),
  }));
  expect(found).toEqual(contents.entries);
  const system = await database.system.list('');
  expect(system.map(({ name, value }) => ({ name, text: value.toString() }))).toEqual(contents.system);
}

async function expectLog(database: StorageEngine): Promise<void> {
  const changes = (await changesAfter(database, contents.middle))!.slice(0, contents.changes.length);
  const found = changes.map(({ position, kind, key, etag, time: made, by, entry, value }, i) => ({
    position,
    kind,
    key,
    etag,
    ...('time' in contents.changes[i]! && { time: made, ...(by !== undefined && { by }) }),
    ...(entry && { entry: headerOf(entry) }),
    ...stored(value, contents.changes[i]!),
  }));
  expect(found).toEqual(contents.changes);
  expect(await database.changes(contents.gone)).toBeUndefined();
}

/** The format that the file itself names. */
function formatOf(path: string): number | undefined {
  const pages = PageFile.open(path);
  const format = readFormat(pages, findSnapshot(pages).snapshot!);
  pages.close();
  return format;
}

function faultsOf(path: string): string[] {
  const faults: string[] = [];
  const pages = PageFile.open(path);
  new Check(pages, (fault) => faults.push(fault)).run();
  pages.close();
  return faults;
}

function salvagedFrom(path: string): string[] {
  const pages = PageFile.open(path);
  const saved = [...new Salvage(pages, {}, time.wall).entries()].map(portraitOf);
  pages.close();
  return saved;
}

test('every format that is read has a fixture, the present one too, so that the next version finds it', () => {
  const all = Array.from({ length: STORE_FORMAT }, (_, i) => i + 1);
  expect(all.filter(isReadable)).toEqual(FORMATS);
  for (const format of FORMATS) {
    putFolder(format);
    expect(formatOf(file)).toBe(format);
  }
});

describe.each(FORMATS)('a data folder of format %i', (format) => {
  beforeEach(() => putFolder(format));

  it('has all that it had: entries, private records, and the log for whoever comes back with an id', async () => {
    await open();
    await expectContents(engine!);
    await expectLog(engine!);
    expect(engine!.position()).toBe(contents.last);
  });

  it('tells of its changes who made them, if that was noted, and times in order', async () => {
    await open();
    const changes = (await changesAfter(engine!, contents.middle))!;
    const noted = changes.filter(({ by }) => by !== undefined).map(({ kind, key }) => [kind, key]);
    expect(noted).toEqual(format < 3 ? [] : [['delete', 'user/2']]);
    for (const { time: made, entry } of changes) {
      if (entry) expect(made).toBe(entry.modified);
      expect(made).toBeGreaterThan(contents.now - 600_000);
      expect(made).toBeLessThanOrEqual(contents.now);
    }
  });

  it('goes on from its tags, and uses none again', async () => {
    await open();
    const known = [...contents.entries, ...contents.changes].map(({ etag }) => etag).concat(contents.last);
    const made: Entry[] = [];
    for (let i = 0; i < 5; i++) made.push(await put(engine!, `new/${i}`, 'x'));
    await engine!.write({ op: 'delete', key: 'user/6', by: 'aNnAnNaNn001' });
    expect(made.map(({ etag }) => etag).filter((etag) => etag <= known.toSorted().at(-1)!)).toEqual([]);
    await expectLog(engine!);
    const news = (await changesAfter(engine!, contents.last))!;
    expect(news.map(({ kind, key, by }) => [kind, key, by])).toEqual([
      ...made.map(({ key }) => ['put', key, undefined]),
      ['delete', 'user/6', 'aNnAnNaNn001'],
    ]);
    expect(news.at(-1)!.time).toBe(engine!.now());
  });

  it('stays one of its format until something is written, and is one of the present format from then on', async () => {
    await open();
    await engine!.system.put('note', Buffer.from('x'));
    await engine!.close();
    expect(formatOf(file)).toBe(format);
    await open();
    await put(engine!, 'a', 'x');
    await engine!.close();
    expect(formatOf(file)).toBe(STORE_FORMAT);
    await open();
    await expectLog(engine!);
  });

  it('is checked, salvaged and compacted, before it is carried over and after', async () => {
    expect(faultsOf(file)).toEqual([]);
    for (const present of new Set([format, STORE_FORMAT])) {
      await open();
      if (present === STORE_FORMAT) await engine!.write({ ...putOf('a', 'x'), by: 'aNnAnNaNn001' });
      const exported = (await scanned(engine!)).map(portraitOf);
      await engine!.close();
      expect(faultsOf(file)).toEqual([]);
      expect(salvagedFrom(file)).toEqual(exported);
      await compact(folder, () => undefined, new AbortController().signal);
      expect(formatOf(file)).toBe(present);
      expect(faultsOf(file)).toEqual([]);
      expect(salvagedFrom(file)).toEqual(exported);
    }
    await open();
    await expectLog(engine!);
  });

  it('is migrated as it is', async () => {
    await open({ readOnly: true, processes: 2 });
    const target = new MemoryEngine(time.clock());
    const output = { line: () => undefined, startProgress: () => () => undefined };
    const names = { source: 'lmdb:./data', target: 'memory:' };
    await new Migration(engine!, target, names, output, new AbortController().signal, true).run();
    const kept = ({ key, type, expires, value }: Entry) => [key, type, expires, value.toString('base64')];
    expect((await scanned(target)).map(kept)).toEqual((await scanned(engine!)).map(kept));
    expect(target.system.list('').map(({ name }) => name)).toEqual(contents.system.map(({ name }) => name));
    await engine!.close();
    expect(formatOf(file)).toBe(format);
  });
});

test('a data folder of format 1 is refused in one line that says what to do, and stays as it is', async () => {
  const bytes = brotliDecompressSync(fixture(UNREADABLE, 'data.mdb.br'));
  writeFileSync(file, bytes);
  await expect(open()).rejects.toThrow(
    /^DATABASE_URL: the folder .* was written by another version of Pigeonhole in storage format 1; this is .*; nothing was changed\.$/,
  );
  engine = undefined;
  expect(readFileSync(file).equals(bytes)).toBe(true);
});

describe('a tree that only a later version knows', () => {
  beforeEach(() => putFolder(STORE_FORMAT));

  it('is left alone by a server, a check and a salvage, and not taken along when the file is made smaller', async () => {
    const root = openRoot(folder);
    const later = root.openDB<Buffer, string>({ name: 'later', encoding: 'binary' });
    await later.put('a', Buffer.alloc(20_000));
    await root.close();
    await open();
    await put(engine!, 'a', 'x');
    await expectLog(engine!);
    const exported = (await scanned(engine!)).map(portraitOf);
    await engine!.close();
    expect(faultsOf(file)).toEqual([]);
    expect(salvagedFrom(file)).toEqual(exported);
    await compact(folder, () => undefined, new AbortController().signal);
    expect(faultsOf(file)).toEqual([]);
    expect(salvagedFrom(file)).toEqual(exported);
  });
});
