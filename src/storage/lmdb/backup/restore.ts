import { chmodSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../../../errors.js';
import { Check } from '../check.js';
import { fillStore, type RawRecord } from '../fill-store.js';
import { DATA, LOCK, NEW_STORE, sync } from '../folder.js';
import { lockFolder } from '../folder-lock.js';
import { assertNoServer } from '../guest.js';
import { readHead } from '../pages/head.js';
import { PageFile } from '../pages/page-file.js';
import { findSnapshot } from '../pages/snapshot.js';
import { decodeHead, encodeHead, HEAD } from '../store-format.js';
import { roomBeside } from '../disk-space.js';
import type { BackupReader } from './backup-reader.js';

/*
 * Restoring a backup.
 *
 * Problem: what is in the folder is all that somebody has until the backup is in its place, and the backup may be the
 * only one. Design: the backup is read to its end before anything is touched. Then a new store is made of it in the
 * folder, checked and synced; what was there gets a second name, and one rename puts the new file in its place. The epoch
 * of the new store is above that of the backup, of what was there and of the present time, so that no tag, and no
 * position of a watcher, of what has been lost is ever used again (revision.ts). Guarantee: whoever kills this at any
 * moment finds the old database or the new one.
 */

/** What a restore has done. */
export interface Restored {
  readonly entries: number;
  /** Where the data file is that was there before. */
  readonly kept: string | undefined;
}

export interface RestoreOptions {
  /** Restores although there is a database, which is kept under another name. */
  readonly force: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Is told how many bytes of the backup are in the new store. */
  readonly show: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Whether a folder holds a database. */
export function holdsDatabase(folder: string): boolean {
  return existsSync(join(folder, DATA));
}

/**
 * Makes `folder` the database of a backup that has been verified.
 * @throws StartError if a server uses the folder, or it holds a database or anything else; nothing was changed then
 */
export async function restore(
  backup: BackupReader,
  folder: string,
  { force, now, show, signal }: RestoreOptions,
): Promise<Restored> {
  const lock = await lockFolder(folder);
  const making = join(folder, NEW_STORE);
  try {
    const file = join(folder, DATA);
    const isThere = existsSync(file);
    if (isThere && !force)
      throw new StartError(
        `${folder} holds a database. With --force it is kept beside; nothing was changed.`,
      );
    if (isThere) await assertNoServer(folder);
    if (roomBeside(folder) < backup.header.bytes)
      throw new StartError(`The disk of ${folder} has no room for the backup; nothing was changed.`);
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    const epoch = 1 + Math.max(Math.floor(now / 1000), isThere ? epochOf(file) : 0);
    await fillStore(making, raised(backup.records(show, signal), epoch));
    const made = join(making, DATA);
    assertSound(made, backup.header.entries);
    chmodSync(made, 0o600);
    await sync(made);
    signal.throwIfAborted();
    const kept = isThere ? keep(file, folder, now) : undefined;
    rmSync(join(folder, LOCK), { force: true });
    renameSync(made, file);
    await sync(folder);
    return { entries: backup.header.entries, kept };
  } finally {
    rmSync(making, { recursive: true, force: true });
    lock.release();
  }
}

/** The records, with an epoch in the head that is `epoch` or above it. */
async function* raised(records: AsyncIterable<RawRecord>, epoch: number): AsyncIterable<RawRecord> {
  for await (const record of records) {
    const isHead = record.tree === 'meta' && record.key.toString() === HEAD;
    yield isHead ? { ...record, value: raiseEpoch(record.value, epoch) } : record;
  }
}

function raiseEpoch(bytes: Buffer, epoch: number): Buffer {
  const head = decodeHead(bytes);
  return encodeHead({ ...head, epoch: Math.max(head.epoch + 1, epoch) });
}

/** The epoch of a data file that may be damaged; then the present time has to do. */
function epochOf(path: string): number {
  const file = PageFile.open(path);
  try {
    const { snapshot } = findSnapshot(file);
    return (snapshot && readHead(file, snapshot)?.epoch) ?? 0;
  } finally {
    file.close();
  }
}

function assertSound(path: string, entries: number): void {
  const file = PageFile.open(path);
  let first: string | undefined;
  const report = new Check(file, (fault) => (first ??= fault)).run();
  file.close();
  if (first !== undefined || report.entries !== entries)
    throw new StartError(
      `The new data file is not sound (${first ?? 'entries are lost'}); nothing was changed.`,
    );
}

/** Gives the data file a second name, so that the first can be taken in one step. Returns it. */
function keep(file: string, folder: string, now: number): string {
  const time = new Date(now).toISOString().replaceAll(':', '-').replace('.', '-');
  const kept = join(folder, `before-restore-${time}.mdb`);
  linkSync(file, kept);
  return kept;
}
