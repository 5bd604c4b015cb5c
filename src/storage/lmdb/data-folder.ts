import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { StartError } from '../../errors.js';
import { Store } from './store.js';

/*
 * The folder that holds the store: `data.mdb` and LMDB's `lock.mdb`, nothing else.
 *
 * Two things can go wrong before LMDB is asked anything. A crash between creating the file and the first synced commit
 * leaves a file that kills the process at the next open, so a new store is made in a folder of its own, synced, and
 * moved into place whole. And LMDB maps a damaged or foreign file without looking and dies with a signal, so its header
 * is checked here first, and a file shorter than its header says is read through by a child process that may die.
 */
const DATA = 'data.mdb';
const LOCK = 'lock.mdb';
const MAKING = '.pigeonhole-making';
const HARMLESS = new Set([LOCK, MAKING, 'lost+found']);

/** Opens the store in `folder`, making folder and store if there are none and they may be written. @throws StartError */
export async function openDataFolder(folder: string, readOnly = false): Promise<Store> {
  const described = `the folder ${folder}`;
  try {
    if (!readOnly) makeFolder(folder);
    const names = readdirSync(folder);
    if (names.includes(DATA)) {
      await checkHeader(join(folder, DATA), folder);
    } else if (readOnly) {
      throw new StartError(`DATABASE_URL: ${described} holds no Pigeonhole database.`);
    } else {
      refuseForeign(names, described);
      await create(folder);
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`DATABASE_URL: ${described} cannot be used: ${(error as Error).message}.`);
  }
  try {
    return await Store.open(folder, described, readOnly);
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw damaged(join(folder, DATA), (error as Error).message);
  }
}

function damaged(file: string, why: string): StartError {
  return new StartError(
    `DATABASE_URL: ${file} is not a sound Pigeonhole database (${why}). Restore a backup, or name another folder; ` +
      'nothing was changed.',
  );
}

/** Node's own recursive mkdir tries for ever where the file system will not have a folder, as below /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

function refuseForeign(names: readonly string[], described: string): void {
  const foreign = names.filter((name) => !HARMLESS.has(name));
  if (foreign.length === 0) return;
  throw new StartError(
    `DATABASE_URL: ${described} is not empty and holds no Pigeonhole database (it has ${JSON.stringify(foreign[0])}). ` +
      'Name an empty or new folder; nothing was changed.',
  );
}

async function create(folder: string): Promise<void> {
  const making = join(folder, MAKING);
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  await Store.create(making);
  await sync(join(making, DATA));
  renameSync(join(making, DATA), join(folder, DATA));
  rmSync(making, { recursive: true, force: true });
  rmSync(join(folder, LOCK), { force: true });
  await sync(folder);
}

/** Waits until a file or folder is on the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// Offsets in an LMDB meta page (lmdb 0.9.90, 64-bit): page header 24 bytes, then MDB_meta.
const META_BYTES = 168;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;

interface MetaPage {
  readonly pageSize: number;
  readonly lastPage: bigint;
  readonly roots: readonly bigint[];
  readonly transaction: bigint;
}

async function checkHeader(file: string, folder: string): Promise<void> {
  if (!statSync(file).isFile()) throw damaged(file, 'it is not a file');
  const first = await readMeta(file, 0);
  if (!first) throw damaged(file, 'its header is not that of an LMDB file');
  const second = await readMeta(file, first.pageSize);
  if (!second || second.pageSize !== first.pageSize)
    throw damaged(file, 'its second header does not fit the first');
  const meta = second.transaction > first.transaction ? second : first;
  // Asked last: another process may be writing, and makes the file longer before a header says so.
  const pages = BigInt(Math.floor(statSync(file).size / meta.pageSize));
  if (meta.roots.some((root) => root !== NO_PAGE && root >= pages)) throw damaged(file, 'it is cut short');
  if (meta.lastPage >= pages && !survivesReading(folder)) throw damaged(file, 'it is cut short');
}

const NO_PAGE = 0xffff_ffff_ffff_ffffn;

async function readMeta(file: string, position: number): Promise<MetaPage | undefined> {
  const handle = await open(file, 'r');
  try {
    const page = Buffer.alloc(META_BYTES);
    const { bytesRead } = await handle.read(page, 0, META_BYTES, position);
    if (bytesRead < META_BYTES || page.readUInt32LE(24) !== MAGIC || page.readUInt16LE(28) !== DATA_VERSION) {
      return undefined;
    }
    const pageSize = page.readUInt32LE(48);
    if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
    return {
      pageSize,
      roots: [page.readBigUInt64LE(88), page.readBigUInt64LE(136)],
      lastPage: page.readBigUInt64LE(144),
      transaction: page.readBigUInt64LE(152),
    };
  } finally {
    await handle.close();
  }
}

/** Whether a process can read every page. A short file may be whole: LMDB need not write free pages at its end. */
function survivesReading(folder: string): boolean {
  const script = `
    const { Store } = await import(${JSON.stringify(import.meta.resolve('./store.js'))});
    const store = await Store.open(${JSON.stringify(folder)}, 'it');
    for (const db of [store.entries, store.expiry, store.system]) for (const _ of db.getRange({ start: undefined })) ;
    await store.close();`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' }).status === 0;
}
