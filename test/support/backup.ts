import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { BackupReader } from '../../src/storage/lmdb/backup/backup-reader.js';
import { restore } from '../../src/storage/lmdb/backup/restore.js';
import type { StorageEngine } from '../../src/storage/storage-engine.js';

/** Makes a backup of the database in the file `path`. */
export async function backUpTo(engine: StorageEngine, path: string): Promise<void> {
  const descriptor = openSync(path, 'wx+', 0o600);
  try {
    (await engine.backup({ descriptor, folder: dirname(path) })).release();
  } finally {
    closeSync(descriptor);
  }
}

/** Makes `folder` the database of the backup `path`. */
export async function restoreInto(path: string, folder: string): Promise<void> {
  const backup = BackupReader.open(path);
  const signal = new AbortController().signal;
  try {
    await backup.verify();
  } finally {
    backup.close();
  }
  const again = BackupReader.open(path);
  await restore(again, folder, { force: false, now: Date.now(), show: () => undefined, signal });
  again.close();
}
