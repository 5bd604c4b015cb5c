import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { BUILT } from '../../built-files.js';
import { StartError } from '../../errors.js';
import { createFolder, DATA, LOCK, NEW_STORE, refuseForeign, sync, unusable } from './folder.js';
import { Store } from './store.js';

/*
 * The folder of the store holds `data.mdb`, LMDB's `lock.mdb` and the socket of its owner (folder-lock.ts); once there was a
 * backup, a folder for the socket of who makes one; and after a restore what was there before (backup/restore.ts).
 *
 * Problem: LMDB kills the process with a signal when it opens a file that is damaged, foreign, or incomplete because of
 * a crash before its first synced commit. Design: a new store is created in a folder of its own, synced, and moved into
 * place complete. The header of an existing file is checked before LMDB opens it. A file that is shorter than its header
 * says is first read through by a child process, which may die.
 */

/** Opens the store in `folder`; creates folder and store if there are none, unless `mustExist`. @throws StartError */
export async function openDataFolder(folder: string, mustExist = false): Promise<Store> {
  const described = `the folder ${folder}`;
  try {
    if (!mustExist) await createFolder(folder);
    const names = readdirSync(folder);
    if (names.includes(DATA)) {
      await checkHeader(join(folder, DATA), folder);
      if (!mustExist) tidy(folder);
    } else if (mustExist) {
      throw new StartError(`DATABASE_URL: ${described} holds no Pigeonhole database.`);
    } else {
      refuseForeign(folder, names);
      await create(folder);
    }
  } catch (error) {
    throw unusable(folder, error);
  }
  try {
    return await Store.open(folder, described);
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw refusal(folder, error as Error & { code?: number });
  }
}

/** Removes what a restore left that was killed, and takes the files from others. */
function tidy(folder: string): void {
  rmSync(join(folder, NEW_STORE), { recursive: true, force: true });
  makePrivate(folder);
}

/** Takes the files from others, to whom earlier versions gave them. Somebody else's files stay as they are. */
function makePrivate(folder: string): void {
  for (const file of [DATA, LOCK].map((name) => join(folder, name)).filter(existsSync)) {
    try {
      chmodSync(file, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    }
  }
}

/** What the library says when LMDB gives no place to a reader, because a process with the same id has locked it. */
const NO_READER = 'No transaction to renew';

/** Tells errors of the system, whose codes are positive, from damage, for which LMDB has codes of its own. */
function refusal(folder: string, error: Error & { code?: number }): StartError {
  if (error.message.includes(NO_READER)) {
    return new StartError(
      `DATABASE_URL: the folder ${folder} is in use by another process with the id ${process.pid}, which this one has ` +
        'too, as happens in containers. Start this one again, so that it gets another id; nothing was changed.',
    );
  }
  return error.code! > 0 ? unusable(folder, error) : damaged(join(folder, DATA), error.message);
}

function damaged(file: string, why: string): StartError {
  return new StartError(
    `DATABASE_URL: ${file} is not a sound Pigeonhole database (${why}). Restore a backup, or save with ` +
      `\`pigeonhole salvage\` what is whole; nothing was changed.`,
  );
}

async function create(folder: string): Promise<void> {
  const making = join(folder, NEW_STORE);
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  await Store.create(making);
  await sync(join(making, DATA));
  renameSync(join(making, DATA), join(folder, DATA));
  rmSync(making, { recursive: true, force: true });
  rmSync(join(folder, LOCK), { force: true });
  await sync(folder);
}

const META_BYTES = 168;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
/** The root of an empty tree. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** The fields of MDB_meta that are read here; it follows the page header of 24 bytes (lmdb 0.9.90, 64-bit). */
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
  // The size is read last, because a process that writes makes the file longer before it writes the header.
  const pages = BigInt(Math.floor(statSync(file).size / meta.pageSize));
  if (meta.roots.some((root) => root !== NO_PAGE && root >= pages)) throw damaged(file, 'it is cut short');
  if (meta.lastPage >= pages && !isReadable(folder)) throw damaged(file, 'it is cut short');
}

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

/** Returns whether a process can read every page. A short file may be sound: LMDB need not write free pages at its end. */
function isReadable(folder: string): boolean {
  const script = `
    const { Store } = await import(${JSON.stringify(new URL('storage/lmdb/store.js', BUILT))});
    const store = await Store.open(${JSON.stringify(folder)}, 'it');
    for (const db of [store.entries, store.expiry, store.system]) for (const _ of db.getRange({ start: undefined })) ;
    await store.close();`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' }).status === 0;
}
