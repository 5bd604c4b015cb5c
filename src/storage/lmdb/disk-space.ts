import { statfsSync } from 'node:fs';
import { DatabaseError } from '../../errors.js';
import type { Store } from './store.js';

const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.1;
const LOOK_EVERY_BYTES = 2 * 2 ** 20;
const LOOK_EVERY_MS = 100;
/** Below this a failed write is taken for a full disk: LMDB often reports ENOSPC as an I/O error. */
const FULL_BYTES = 2 ** 20;

/**
 * Keeps some of the disk free, because a copy-on-write store needs room even to delete.
 *
 * Room is what the file system has free plus the free pages inside the data file, which never shrinks. Puts are
 * refused while room is under the reserve, min(64 MiB, 10 % of the file system); deletes and reads go on. Looking costs
 * some 30 µs, so it is done once per 100 ms or 2 MiB of writes.
 */
export class DiskSpace {
  private bytesSince = Infinity;
  private lookedAt = 0;
  private room = 0;
  private reserve = 0;

  constructor(private readonly store: Store) {}

  /** Bytes that puts may still take. */
  available(): number {
    this.look();
    return Math.max(0, this.room - this.reserve);
  }

  /** @throws DatabaseError `disk-full` if `bytes` more would touch the reserve */
  claim(bytes: number): void {
    const now = performance.now();
    if (this.bytesSince >= LOOK_EVERY_BYTES || now - this.lookedAt >= LOOK_EVERY_MS) this.look(now);
    this.bytesSince += bytes;
    if (this.room - this.bytesSince < this.reserve) {
      this.bytesSince -= bytes;
      throw diskFull();
    }
  }

  /** Whether the file system itself has run out. */
  isFull(): boolean {
    try {
      const { bavail, bsize } = statfsSync(this.store.folder);
      return bavail * bsize < FULL_BYTES;
    } catch {
      return false; // a disk that cannot even be asked is broken, not full
    }
  }

  private look(now = performance.now()): void {
    const { bavail, blocks, bsize } = statfsSync(this.store.folder);
    this.room = bavail * bsize + this.store.size().free;
    this.reserve = Math.min(RESERVE_BYTES, blocks * bsize * RESERVE_SHARE);
    this.bytesSince = 0;
    this.lookedAt = now;
  }
}

export function diskFull(): DatabaseError {
  return new DatabaseError(
    'disk-full',
    'The disk that holds the database is full. Nothing was written; reads and deletes go on, and writes do as soon as ' +
      'there is room.',
  );
}
