import { DatabaseError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import type { Clock } from '../clock.js';
import type { Entry } from '../entry.js';
import { boundsOf } from '../key-range.js';
import type { ScanRange } from '../storage-engine.js';
import { pinnedBytes as pinned, scans } from '../storage-meters.js';
import type { DiskSpace } from './disk-space.js';
import { provide } from './fresh-memory.js';
import { readChunk } from './scan-chunk.js';
import type { Store, Transaction } from './store.js';

/** Of all processes together. */
export const SCANS_AT_ONCE = 16;
const SLOT_TIMEOUT_MS = 10_000;
const MAX_IDLE_MS = 30_000;
const CHECK_EVERY_MS = 1_000;
/** How much of the free disk the data that one snapshot pins may take, but always 1 GiB. */
const AUTO_SHARE = 1 / 4;
const AUTO_LEAST = 2 ** 30;

interface Snapshot {
  readonly transaction: Transaction;
  /** Whether it waits for a reader, so that it may live long. */
  readonly isPaced: boolean;
  /** How many entries the snapshot has, with those that have expired. */
  readonly entries: number;
  readonly startedAt: number;
  /** The size of the store when the snapshot was taken. */
  readonly size: StoreSize;
  /** By how much the file may grow because of the snapshot, bytes. */
  readonly maxBytes: number;
  lastReadAt: number;
  /** Why the snapshot was released before its scan had finished. */
  error: DatabaseError | undefined;
  /** Hears of that. */
  readonly onEnd?: ((error: DatabaseError) => void) | undefined;
}

type StoreSize = ReturnType<Store['size']>;

/**
 * Scans: each visits one snapshot in chunks, at the pace of its consumer.
 *
 * Problem: a snapshot pins every page that is overwritten while it lives, so a stalled reader makes the file grow without
 * end. LMDB also has a limited number of reader slots. Design: a limited number of scans runs at once, and more wait up
 * to 10 s. A scan loses its snapshot if it makes no progress for 30 s, if the snapshot is older than `maxAge`, if the file
 * has grown by more than `maxBytes` because of it, or if the disk reserve is reached. It then throws, so that no consumer
 * takes a part for all entries. Snapshots of processes that have died are released by the processes that are left.
 */
export class Scans {
  private readonly open = new Set<Snapshot>();
  /** Scans that wait for a slot: each function starts one. */
  private readonly queue: (() => void)[] = [];
  private usedSlots = 0;
  private readonly checker: NodeJS.Timeout;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly space: DiskSpace,
    /** Milliseconds. */
    private readonly maxAge: number,
    private readonly slots: number,
    private readonly maxBytes: number | 'auto' = 'auto',
  ) {
    pinned.value = () => this.pinnedBytes();
    this.checker = setInterval(() => store.faults.guard(() => this.check()), CHECK_EVERY_MS).unref();
  }

  async *scan(range: ScanRange): AsyncGenerator<readonly Entry[]> {
    await this.acquireSlot();
    scans.add(1);
    let snapshot: Snapshot | undefined;
    try {
      snapshot = this.openSnapshot(true);
      range.onPosition?.(this.store.position());
      const now = this.clock.now();
      const bounds = boundsOf(range);
      let after: string | undefined;
      let visited = 0;
      for (let isLast = false, memory: Buffer | undefined; !isLast;) {
        if (snapshot.error) throw snapshot.error;
        const chunk = readChunk(this.store, snapshot.transaction, range, bounds, { after, now, memory });
        ({ next: after, isLast } = chunk);
        visited += chunk.visited;
        if (chunk.entries.length > 0) yield chunk.entries;
        memory = chunk.large > 0 ? Buffer.allocUnsafeSlow(chunk.large) : undefined;
        if (memory) for (const _step of provide(memory)) await giveWay();
        // Chunks of which all has expired have no consumer who would give way.
        await giveWay();
        snapshot.lastReadAt = performance.now();
      }
      // A damaged inner page can lose entries unnoticed, but not their count.
      const isWhole = !bounds.start && !bounds.end;
      if (isWhole && visited !== snapshot.entries) throw lostEntries(visited, snapshot.entries);
    } finally {
      if (snapshot) this.release(snapshot);
      this.releaseSlot();
      scans.add(-1);
    }
  }

  /**
   * Runs `work` in one snapshot, and gives way to others whenever it yields. That takes no slot: it waits for no reader, so
   * it is over soon.
   */
  async run<T>(work: (snapshot: Transaction) => Generator<void, T>): Promise<T> {
    const snapshot = this.openSnapshot(false);
    try {
      const steps = work(snapshot.transaction);
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        await giveWay();
        if (snapshot.error) throw snapshot.error;
        snapshot.lastReadAt = performance.now();
      }
    } finally {
      this.release(snapshot);
    }
  }

  /**
   * Keeps the pages of the last commit while `work` lets another process read the data file.
   *
   * @param work is given what to call whenever it has made progress, and a signal that they are kept no longer
   */
  async hold<T>(work: (progress: () => void, ended: AbortSignal) => Promise<T>): Promise<T> {
    const ended = new AbortController();
    const snapshot = this.openSnapshot(true, (error) => ended.abort(error));
    try {
      const result = await work(() => (snapshot.lastReadAt = performance.now()), ended.signal);
      if (snapshot.error) throw snapshot.error;
      return result;
    } finally {
      this.release(snapshot);
    }
  }

  close(): void {
    clearInterval(this.checker);
    pinned.value = undefined;
    for (const snapshot of this.open) this.end(snapshot, 'the server is shutting down');
  }

  /** Returns what the snapshot that pins most keeps from being free. */
  private pinnedBytes(): number {
    if (this.open.size === 0) return 0;
    const now = this.store.size();
    return Math.max(0, ...[...this.open].map(({ size }) => pinnedBytes(size, now)));
  }

  private async acquireSlot(): Promise<void> {
    if (this.usedSlots < this.slots) {
      this.usedSlots++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.queue.splice(this.queue.indexOf(start), 1);
        reject(tooManyScans(this.slots));
      }, SLOT_TIMEOUT_MS);
      this.queue.push(start);
    });
  }

  /** Passes the slot on to the scan that has waited longest. */
  private releaseSlot(): void {
    const next = this.queue.shift();
    if (next) next();
    else this.usedSlots--;
  }

  private openSnapshot(isPaced: boolean, onEnd?: (error: DatabaseError) => void): Snapshot {
    const now = performance.now();
    this.store.freshen();
    const transaction = this.store.entries.useReadTransaction();
    const entries = this.store.entryCount();
    const size = this.store.size();
    const maxBytes =
      this.maxBytes === 'auto'
        ? Math.max(AUTO_LEAST, AUTO_SHARE * (this.space.available() ?? 0))
        : this.maxBytes;
    const snapshot: Snapshot = {
      transaction,
      isPaced,
      onEnd,
      entries,
      startedAt: now,
      lastReadAt: now,
      size,
      maxBytes,
      error: undefined,
    };
    this.open.add(snapshot);
    return snapshot;
  }

  private release(snapshot: Snapshot): void {
    if (this.open.delete(snapshot)) snapshot.transaction.done();
  }

  private check(): void {
    this.store.releaseDeadReaders();
    if (this.open.size === 0) return;
    const now = performance.now();
    const size = this.store.size();
    for (const snapshot of this.open) {
      if (now - snapshot.lastReadAt > MAX_IDLE_MS) this.end(snapshot, 'the reader made no progress for 30 s');
      else if (now - snapshot.startedAt > this.maxAge)
        this.end(snapshot, 'it took longer than MAX_SNAPSHOT_AGE');
      else if (snapshot.isPaced && this.space.available() === 0)
        this.end(snapshot, 'the disk is nearly full');
      else if (pinnedBytes(snapshot.size, size) > snapshot.maxBytes)
        this.end(snapshot, 'it kept too much overwritten data on the disk', 'MAX_SNAPSHOT_BYTES');
    }
  }

  private end(snapshot: Snapshot, why: string, setting = 'MAX_SNAPSHOT_AGE'): void {
    snapshot.error = new DatabaseError('unavailable', `The read was broken off: ${why}.`, { setting });
    this.release(snapshot);
    snapshot.onEnd?.(snapshot.error);
  }
}

/** Returns by how much the file has grown although pages were given up meanwhile, which only readers keep from use. */
function pinnedBytes(before: StoreSize, now: StoreSize): number {
  return Math.min(now.file - before.file, now.free - before.free);
}

function tooManyScans(limit: number): DatabaseError {
  return new DatabaseError('busy', `${limit} listings and exports are under way; try again.`, { limit });
}

function lostEntries(visited: number, entries: number): DatabaseError {
  const detail = `The database has ${entries} entries, of which only ${visited} can be read. Restore a backup.`;
  return new DatabaseError('corrupt', detail);
}
