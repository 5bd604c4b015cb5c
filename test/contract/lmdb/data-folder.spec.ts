import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { open } from 'lmdb';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../../../src/errors.js';
import { openDataFolder } from '../../../src/storage/lmdb/data-folder.js';
import { Store } from '../../../src/storage/lmdb/store.js';
import { runOnBuild, saidBy, type Ended } from '../../support/built.js';
import { FakeTime } from '../../support/fake-time.js';
import { makeTempFolder, removeFolder } from '../../support/temp-folder.js';
import { lmdb } from '../engines.js';
import { put, textOf } from '../shorthand.js';

let root: string;
let folder: string;
let file: string;

beforeEach(() => {
  root = makeTempFolder();
  folder = join(root, 'data');
  file = join(folder, 'data.mdb');
});

afterEach(() => removeFolder(root));

async function makeStore(): Promise<void> {
  const engine = lmdb.make(new FakeTime().clock(), folder);
  await engine.open();
  for (let i = 0; i < 200; i++) void put(engine, `k${i}`, `value ${i}`.repeat(50));
  await put(engine, 'big', Buffer.alloc(2 ** 20, 'b'));
  await engine.close();
}

async function worksIn(path: string): Promise<boolean> {
  const engine = lmdb.make(new FakeTime().clock(), path);
  try {
    await engine.open();
    await put(engine, 'new', 'value');
    return (await textOf(engine, 'new')) === 'value';
  } finally {
    await engine.close();
  }
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(StartError);
    return (error as StartError).message;
  }
  return 'not refused';
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describe('a data folder', () => {
  it('that does not exist is made, below folders that do not exist either, for its owner only', async () => {
    const deep = join(root, 'a', 'b', 'data');
    expect(await worksIn(deep)).toBe(true);
    expect(statSync(deep).mode & 0o777).toBe(0o700);
    expect(readdirSync(deep).toSorted()).toEqual(['data.mdb', 'lock.mdb']);
  });

  it('that exists and is empty is used, a new file system’s own folder notwithstanding', async () => {
    mkdirSync(join(folder, 'lost+found'), { recursive: true });
    expect(await worksIn(folder)).toBe(true);
  });

  it('that holds somebody else’s files is refused by one line that names it, and left as it is', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'thesis.txt'), 'precious');
    const message = await refusalOf(openDataFolder(folder));
    expect(message).toMatch(/^DATABASE_URL: .*is not empty.*"thesis\.txt".*nothing was changed\.$/);
    expect(message).toContain(folder);
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });

  it('that is a file is refused by one line, and left as it is', async () => {
    writeFileSync(folder, 'precious');
    expect(await refusalOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*cannot be used.*$/);
    expect(readFileSync(folder, 'utf8')).toBe('precious');
  });

  it('where the system will have no folder is refused by one line, at once', async () => {
    expect(await refusalOf(openDataFolder('/proc/nope/data'))).toMatch(/^DATABASE_URL: .*cannot be used.*$/);
  });

  it('whose data.mdb is a folder is refused by one line', async () => {
    mkdirSync(file, { recursive: true });
    expect(await refusalOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*not a file.*$/);
    expect(existsSync(file)).toBe(true);
  });

  it('whose creation was interrupted at any point is made anew', async () => {
    for (const name of ['data.mdb', 'lock.mdb']) {
      const making = join(folder, '.pigeonhole-making');
      mkdirSync(making, { recursive: true });
      writeFileSync(join(making, name), Buffer.alloc(4096));
    }
    expect(await worksIn(folder)).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(['data.mdb', 'lock.mdb']);
  });

  it('with only a lock file left over is made anew', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'lock.mdb'), 'x');
    expect(await worksIn(folder)).toBe(true);
  });

  it('whose lock file was lost, as in a copy of the data file alone, opens', async () => {
    await makeStore();
    const copy = join(root, 'copy');
    mkdirSync(copy);
    writeFileSync(join(copy, 'data.mdb'), readFileSync(file));
    expect(await worksIn(copy)).toBe(true);
  });

  it('of a newer storage format is refused by one line with both formats, and left as it is', async () => {
    await makeStore();
    const format = Buffer.alloc(4);
    format.writeUInt32LE(99);
    const store = await Store.open(folder, 'it');
    await store.transaction(() => store['meta'].put('format', format));
    await store.close();
    const before = digestOf(file);
    expect(await refusalOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*format 99.*format 2\b.*$/);
    expect(digestOf(file)).toBe(before);
  });

  it('with an LMDB database that is not ours is refused by one line, and left as it is', async () => {
    const foreign = open({ path: folder, noSubdir: false });
    await foreign.put('somebody', { elses: 'data' });
    await foreign.put(['compound', 1], 2);
    await foreign.close();
    const before = digestOf(file);
    expect(await refusalOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*did not make.*$/);
    expect(digestOf(file)).toBe(before);
  });
});

/** Opens in a process of its own, because LMDB can die of a damaged file, and reads everything. */
function openInChild(): Promise<Ended> {
  return runOnBuild(`
    const engine = new LmdbEngine(${JSON.stringify(folder)}, { onFailure: (error) => say('failed ' + error.message), maxSnapshotAge: 60000, watchLogBytes: 1 << 20 });
    try {
      await engine.open();
      let count = 0;
      for await (const chunk of engine.scan({ prefix: '', values: true })) count += chunk.length;
      say({ opened: count });
      await engine.close();
    } catch (error) {
      say({ name: error.name, message: error.message });
    }`);
}

const DAMAGE: readonly (readonly [string, (size: number) => void])[] = [
  ['empty', () => truncateSync(file, 0)],
  ['one byte long', () => truncateSync(file, 1)],
  ['cut within its first header', () => truncateSync(file, 100)],
  ['cut behind its first header', () => truncateSync(file, 4096)],
  ['cut within its second header', () => truncateSync(file, 4200)],
  ['cut behind its headers', () => truncateSync(file, 8192)],
  ['cut in the middle', (size) => truncateSync(file, Math.floor(size / 2))],
  ['cut by its last page', (size) => truncateSync(file, size - 4096)],
  ['all zeros', (size) => writeFileSync(file, Buffer.alloc(size))],
  ['text', () => writeFileSync(file, 'not a database at all\n'.repeat(1000))],
  [
    'random bytes',
    (size) => writeFileSync(file, Buffer.from(Array.from({ length: size }, (_, i) => (i * 7919) >> 3))),
  ],
  [
    'zeros behind its headers',
    (size) =>
      writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, 8192), Buffer.alloc(size - 8192)])),
  ],
];

describe('a data file that is', () => {
  it.each(DAMAGE)('%s is refused by one line, kills nobody and is left as it is', async (_, damage) => {
    await makeStore();
    damage(statSync(file).size);
    const before = digestOf(file);
    const ended = await openInChild();
    expect([ended.status, ended.signal]).toEqual([0, null]);
    const [said] = saidBy(ended) as { name: string; message: string }[];
    expect(said?.name).toBe('StartError');
    expect(said?.message).toMatch(/^DATABASE_URL: .*nothing was changed\.$/);
    expect(digestOf(file)).toBe(before);
  });

  it('whole opens in a process of its own, too', async () => {
    await makeStore();
    expect(saidBy(await openInChild())).toEqual([{ opened: 201 }]);
  });
});
