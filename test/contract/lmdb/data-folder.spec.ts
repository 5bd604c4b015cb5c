import { beforeEach, describe, expect, it } from '@jest/globals';
import { open } from 'lmdb';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
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
import { testWhere } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb } from '../engines.js';
import { codeOf, put, textOf } from '../shorthand.js';

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
const itTraced = testWhere(canTrace, 'there is no strace to see what is synced');

let root: string;
let folder: string;
let file: string;

beforeEach(() => {
  root = temporaryFolder();
  folder = join(root, 'data');
  file = join(folder, 'data.mdb');
});

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

async function messageOf(work: Promise<unknown>): Promise<string> {
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
  it('that does not exist is created for its owner only, with the folders above it', async () => {
    const deep = join(root, 'a', 'b', 'data');
    expect(await worksIn(deep)).toBe(true);
    expect(statSync(deep).mode & 0o777).toBe(0o700);
    expect(readdirSync(deep).toSorted()).toEqual(['data.mdb', 'lock.mdb']);
  });

  it('has files that only their owner can read and write, also those that an earlier version made', async () => {
    const modes = () => readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777);
    await makeStore();
    expect(modes()).toEqual([0o600, 0o600]);
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o664);
    expect(await worksIn(folder)).toBe(true);
    expect(modes()).toEqual([0o600, 0o600]);
  });

  itTraced('outlives a power loss: every folder above it that is new, and its own, are synced', async () => {
    const deep = join(root, 'a', 'b', 'data');
    const trace = join(root, 'trace');
    await runOnBuild(
      `const { openDataFolder } = await import_('storage/lmdb/data-folder.js');
      await (await openDataFolder(${JSON.stringify(deep)})).close();`,
      { under: ['strace', '-f', '-y', '-e', 'trace=fsync', '-o', trace] },
    );
    const synced = [...readFileSync(trace, 'utf8').matchAll(/fsync\(\d+<([^>]*)>/g)].map(([, path]) => path);
    expect(synced).toEqual(expect.arrayContaining([root, join(root, 'a'), join(root, 'a', 'b'), deep]));
  });

  it('that is empty is used, even with the lost+found of a new file system', async () => {
    mkdirSync(join(folder, 'lost+found'), { recursive: true });
    expect(await worksIn(folder)).toBe(true);
  });

  it('that holds other files is refused by one line that names it, and is not changed', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'thesis.txt'), 'precious');
    const message = await messageOf(openDataFolder(folder));
    expect(message).toMatch(/^DATABASE_URL: .*is not empty.*"thesis\.txt".*nothing was changed\.$/);
    expect(message).toContain(folder);
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });

  it('that is a file is refused by one line, and is not changed', async () => {
    writeFileSync(folder, 'precious');
    expect(await messageOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*cannot be used.*$/);
    expect(readFileSync(folder, 'utf8')).toBe('precious');
  });

  it('where the file system allows no folder is refused by one line', async () => {
    expect(await messageOf(openDataFolder('/proc/nope/data'))).toMatch(/^DATABASE_URL: .*cannot be used.*$/);
  });

  it('whose data.mdb is a folder is refused by one line', async () => {
    mkdirSync(file, { recursive: true });
    expect(await messageOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*not a file.*$/);
    expect(existsSync(file)).toBe(true);
  });

  it('whose creation was interrupted at any point is created again', async () => {
    for (const name of ['data.mdb', 'lock.mdb']) {
      const making = join(folder, '.pigeonhole-making');
      mkdirSync(making, { recursive: true });
      writeFileSync(join(making, name), Buffer.alloc(4096));
    }
    expect(await worksIn(folder)).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(['data.mdb', 'lock.mdb']);
  });

  it('with only a lock file is created again', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'lock.mdb'), 'x');
    expect(await worksIn(folder)).toBe(true);
  });

  it('without its lock file, as a copy of the data file alone, opens', async () => {
    await makeStore();
    const copy = join(root, 'copy');
    mkdirSync(copy);
    writeFileSync(join(copy, 'data.mdb'), readFileSync(file));
    expect(await worksIn(copy)).toBe(true);
  });

  it('of a newer storage format is refused by one line that says who made it and what to do, and is not changed', async () => {
    await makeStore();
    const format = Buffer.alloc(4);
    format.writeUInt32LE(99);
    const store = await Store.open(folder, 'it');
    await store.transaction(() => {
      void store['meta'].put('format', format);
      void store['meta'].put('made-by', Buffer.from('7.8.9'));
    });
    await store.close();
    const before = digestOf(file);
    expect(await messageOf(openDataFolder(folder))).toMatch(
      /^DATABASE_URL: .*Pigeonhole 7\.8\.9 in storage format 99; this is Pigeonhole \d+\.\d+\.\d+, which reads formats 2 to 3\. Start 7\.8\.9 or a newer version on it; nothing was changed\.$/,
    );
    expect(digestOf(file)).toBe(before);
  });

  it('with an LMDB database of another program is refused by one line, and is not changed', async () => {
    const foreign = open({ path: folder, noSubdir: false });
    await foreign.put('somebody', { elses: 'data' });
    await foreign.put(['compound', 1], 2);
    await foreign.close();
    const before = digestOf(file);
    expect(await messageOf(openDataFolder(folder))).toMatch(/^DATABASE_URL: .*did not make.*$/);
    expect(digestOf(file)).toBe(before);
  });
});

describe('a data folder that was copied back', () => {
  it('uses no tag again that was taken after the copy', async () => {
    const time = new FakeTime();
    const copy = join(root, 'copy.mdb');
    /** Starts a server, writes one entry and stops it. Returns the tag. */
    const tagOfRun = async (value: string): Promise<string> => {
      time.advance(2000);
      const engine = lmdb.make(time.clock(), folder);
      try {
        await engine.open();
        return (await put(engine, 'a', value)).etag;
      } finally {
        await engine.close();
      }
    };
    const tags = [await tagOfRun('0')];
    copyFileSync(file, copy);
    tags.push(await tagOfRun('lost'), await tagOfRun('lost too'));
    copyFileSync(copy, file);
    tags.push(await tagOfRun('1'), await tagOfRun('2'));
    expect(new Set(tags).size).toBe(tags.length);
    expect(tags.toSorted()).toEqual(tags);

    const engine = lmdb.make(time.clock(), folder);
    await engine.open();
    for (const stale of tags.slice(0, -1)) {
      const code = await codeOf(put(engine, 'a', 'x', { condition: { ifMatch: [stale] } }));
      expect(code).toBe('precondition-failed');
    }
    await engine.close();
  });
});

/** Opens the store in a child process, because LMDB can die of a damaged file, and reads everything. */
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
  ['cut after its first header', () => truncateSync(file, 4096)],
  ['cut within its second header', () => truncateSync(file, 4200)],
  ['cut after its headers', () => truncateSync(file, 8192)],
  ['cut in the middle', (size) => truncateSync(file, Math.floor(size / 2))],
  ['cut by its last page', (size) => truncateSync(file, size - 4096)],
  ['all zeros', (size) => writeFileSync(file, Buffer.alloc(size))],
  ['text', () => writeFileSync(file, 'not a database at all\n'.repeat(1000))],
  [
    'random bytes',
    (size) => writeFileSync(file, Buffer.from(Array.from({ length: size }, (_, i) => (i * 7919) >> 3))),
  ],
  [
    'zeros after its headers',
    (size) =>
      writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, 8192), Buffer.alloc(size - 8192)])),
  ],
];

describe('a data file that is', () => {
  it.each(DAMAGE)(
    '%s is refused by one line, does not kill the process and is not changed',
    async (_, damage) => {
      await makeStore();
      damage(statSync(file).size);
      const before = digestOf(file);
      const ended = await openInChild();
      expect([ended.status, ended.signal]).toEqual([0, null]);
      const [said] = saidBy(ended) as { name: string; message: string }[];
      expect(said?.name).toBe('StartError');
      expect(said?.message).toMatch(/^DATABASE_URL: .*nothing was changed\.$/);
      expect(digestOf(file)).toBe(before);
    },
  );

  it('sound opens in a child process too', async () => {
    await makeStore();
    expect(saidBy(await openInChild())).toEqual([{ opened: 201 }]);
  });
});
