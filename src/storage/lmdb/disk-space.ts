import { readFileSync, statfsSync, statSync, type StatsFs } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { DatabaseError } from '../../errors.js';
import { DATA } from './folder.js';
import type { Store } from './store.js';

const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.1;
const MEASURE_EVERY_BYTES = 2 * 2 ** 20;
const MEASURE_EVERY_MS = 100;
/** With less than this free, a failed write means a full disk: LMDB often reports ENOSPC as an I/O error. */
const FULL_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;
const GONE = 'The folder of the database cannot be looked at: it may be gone.';
/** No space (ENOSPC), no quota (EDQUOT), a file as large as it may get (EFBIG). */
export const FULL_CODES: ReadonlySet<unknown> = new Set<unknown>([
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
]);

/**
 * Keeps a part of the disk free, because a copy-on-write store needs free pages even to delete.
 *
 * Free space is what the file system has free plus the free pages inside the data file, which never shrinks. Puts are
 * refused while it is under the reserve, min(64 MiB, 10 % of the file system); deletes and reads go on. A measurement
 * costs about 30 µs, so there is one per 100 ms or 2 MiB of writes.
 */
export class DiskSpace {
  private claimedSince = Infinity;
  private measuredAt = 0;
  private free = 0;
  private reserve = 0;

  constructor(private readonly store: Store) {}

  /** Returns how many bytes puts may still take; undefined if the disk does not say, because the folder is gone. */
  available(): number | undefined {
    try {
      this.measure();
    } catch {
      return undefined;
    }
    return Math.max(0, this.free - this.reserve);
  }

  /** Returns what keeps puts from being stored, in one sentence; undefined if nothing does. */
  fault(): string | undefined {
    const available = this.available();
    if (available === undefined) return GONE;
    return available > 0 ? undefined : 'The disk is full: puts are refused until there is space.';
  }

  /** Claims `bytes` for a write. @throws DatabaseError `disk-full` if they would touch the reserve; `unavailable` */
  claim(bytes: number): void {
    const now = performance.now();
    if (this.claimedSince >= MEASURE_EVERY_BYTES || now - this.measuredAt >= MEASURE_EVERY_MS)
      this.measure(now);
    this.claimedSince += bytes;
    if (this.free - this.claimedSince < this.reserve) {
      this.claimedSince -= bytes;
      throw diskFull();
    }
  }

  /** Returns whether `error`, of a write, came from a full disk. */
  isFull(error: Error & { code?: unknown }): boolean {
    if (FULL_CODES.has(error.code)) return true;
    try {
      // To LMDB a write of which the system takes only a part is an I/O error.
      const { size } = statSync(join(this.store.folder, DATA));
      if (size + PAGE_BYTES > longestFile()) return true;
      const { bavail, bsize } = statfsSync(this.store.folder);
      return bavail * bsize < FULL_BYTES;
    } catch {
      return false; // A disk that does not even say how full it is, is broken, not full.
    }
  }

  /** @throws DatabaseError `unavailable` if the disk does not say */
  private measure(now = performance.now()): void {
    this.claimedSince = Infinity; // If this fails, the next claim measures again.
    const { bavail, blocks, bsize } = fileSystemOf(this.store.folder);
    this.free = bavail * bsize + this.store.size().free;
    this.reserve = reserveOf(blocks * bsize);
    this.claimedSince = 0;
    this.measuredAt = now;
  }
}

/** Returns how many bytes files on the disk of `folder` may take beside the database, whose reserve they leave. */
export function roomBeside(folder: string): number {
  const { bavail, blocks, bsize } = statfsSync(folder);
  return bavail * bsize - reserveOf(blocks * bsize);
}

function reserveOf(diskBytes: number): number {
  return Math.min(RESERVE_BYTES, diskBytes * RESERVE_SHARE);
}

/** Returns how many bytes this process may write to a file (`ulimit -f`), where the system says that. */
function longestFile(): number {
  try {
    const [, bytes] = /^Max file size +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))!;
    return bytes === 'unlimited' ? Infinity : Number(bytes);
  } catch {
    return Infinity;
  }
}

function fileSystemOf(folder: string): StatsFs {
  try {
    return statfsSync(folder);
  } catch (cause) {
    const detail = `${GONE} Nothing was written.`;
    throw new DatabaseError('unavailable', detail, {}, { cause });
  }
}

export function diskFull(): DatabaseError {
  return new DatabaseError(
    'disk-full',
    'The disk that holds the database is full. Nothing was written. Reads and deletes go on, and writes do as soon as ' +
      'there is space.',
  );
}
