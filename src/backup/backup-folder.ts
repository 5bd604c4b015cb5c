import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupCopy } from '../storage/backup-copy.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { backupName, timeOf } from './backup-name.js';

/** What is being written, and is no backup yet. */
const PART = 'pigeonhole.backup.part';
const FILE_ACCESS = 0o600;

/** A folder of backups, which are told by their names. Everything else in it is left alone. */
export class BackupFolder {
  constructor(private readonly folder: string) {}

  /** Returns when the newest backup was made that is not after `now`, ms since 1970; undefined if there is none. */
  async lastBefore(now: number): Promise<number | undefined> {
    const times = (await this.names()).map((name) => timeOf(name)!);
    return times.findLast((time) => time <= now);
  }

  /** Adds a backup: it gets its name when it is whole, verified and on the disk. A part that a crash left is written over. */
  async add(engine: StorageEngine, signal: AbortSignal): Promise<{ path: string; copy: BackupCopy }> {
    const part = join(this.folder, PART);
    const file = await open(part, 'w+', FILE_ACCESS);
    try {
      const copy = await engine.backup({ descriptor: file.fd, folder: this.folder }, signal);
      try {
        const path = join(this.folder, backupName(copy.made));
        await rename(part, path);
        await this.sync();
        return { path, copy };
      } finally {
        copy.release();
      }
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Removes all backups but the newest `kept`; returns their names. */
  async removeAllBut(kept: number): Promise<readonly string[]> {
    const old = (await this.names()).slice(0, -kept);
    for (const name of old) await rm(join(this.folder, name), { force: true });
    return old;
  }

  /** Of backups, oldest first. */
  private async names(): Promise<string[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      // It is not made: what should be mounted there may be missing, and the backup would fill another disk.
      if (error.code === 'ENOENT')
        throw new Error('There is no such folder: make it, or mount what it is on.');
      throw error;
    });
    return names.filter((name) => timeOf(name) !== undefined).toSorted();
  }

  private async sync(): Promise<void> {
    const folder = await open(this.folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}
