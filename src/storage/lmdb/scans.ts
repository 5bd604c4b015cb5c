import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import type { Entry } from '../entry.js';
import { prefixEnd } from '../key-range.js';
import type { ScanRange } from '../storage-engine.js';
import type { DiskSpace } from './disk-space.js';
import { decode, decodeHeader } from './record.js';
import type { Store } from './store.js';

const SLOT_TIMEOUT_MS = 10_000;
const MAX_IDLE_MS = 30_000;
const CHECK_EVERY_MS = 1_000;
const CHUNK_ENTRIES = 512;
const CHUNK_BYTES = 256 * 1024;
/** How much of the free disk the data that one snapshot pins may take, but always 1 GiB. */
const AUTO_SHARE = 1 / 4;
const AUTO_LEAST = 2 ** 30;

type Transaction = ReturnType<Store['entries']['useReadTransaction']>;

interface Snapshot {
  readonly transaction: Transaction;
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
}

type StoreSize = ReturnType<Store['size']>;

interface Chunk {
  /** The live ones of the entries that were visited. */
  readonly entries: Entry[];
  readonly visited: number;
  /** Where the next chunk starts; undefined if this is the last. */
  readonly next: string | undefined;
}

/**
 * Scans: each visits one snapshot in chunks, at the pace of its consumer.
 *
 * Problem: a snapshot pins every page that is overwritten while it lives, so a stalled reader makes the file grow without
 * end. LMDB also has a limited number of reader slots. Design: a limited number of scans runs at once, and more wait up
 * to 10 s. A scan loses its snapshot if it makes no progress for 30 s, if the snapshot is older than `maxAge`, if the file
 * has grown by more than `maxBytes` because of it, or if the disk reserve is reached. It then throws, so that no consumer takes a part for all entries. Snapshots of processes that
 * have died are released by the processes that are left.
 */
export class Scans {
  private readonly open = new Set<Snapshot>();
  /** Scans that wait for a slot: each function starts one. */
  private readonly queue: (() => void)[] = [];
  private usedSlots = 0;
  private readonly checker = setInterval(() => this.check(), CHECK_EVERY_MS).unref();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly space: DiskSpace,
    /** Milliseconds. */
    private readonly maxAge: number,
    private readonly slots: number,
    private readonly maxBytes: number | 'auto' = 'auto',
  ) {}

  async *scan(range: ScanRange): AsyncGenerator<readonly Entry[]> {
    await this.acquireSlot();
    const snapshot = this.openSnapshot();
    try {
      const now = this.clock.now();
      let start: string | undefined = range.prefix || undefined;
      let visited = 0;
      do {
        if (snapshot.error) throw snapshot.error;
        const chunk = this.readChunk(snapshot.transaction, range, start, now);
        start = chunk.next;
        visited += chunk.visited;
        if (chunk.entries.length > 0) yield chunk.entries;
        snapshot.lastReadAt = performance.now();
      } while (start !== undefined);
      // A damaged inner page can lose entries unnoticed, but not their count.
      if (range.prefix === '' && visited !== snapshot.entries) throw lostEntries(visited, snapshot.entries);
    } finally {
      this.release(snapshot);
      this.releaseSlot();
    }
  }

  close(): void {
    clearInterval(this.checker);
    for (const snapshot of this.open) this.end(snapshot, 'the server is shutting down');
  }

  private readChunk(
    transaction: Transaction,
    range: ScanRange,
    start: string | undefined,
    now: number,
  ): Chunk {
    const end = prefixEnd(range.prefix);
    const entries: Entry[] = [];
    let bytes = 0;
    let visited = 0;
    for (const { key, value } of this.store.entries.getRange({ start, end, transaction })) {
      const entry = range.values ? decode(key as string, value) : decodeHeader(key as string, value);
      if (entry.expires === 0 || entry.expires > now) entries.push(entry);
      bytes += value.length;
      if (++visited === CHUNK_ENTRIES || bytes >= CHUNK_BYTES)
        return { entries, visited, next: `${entry.key}\0` };
    }
    return { entries, visited, next: undefined };
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

  private openSnapshot(): Snapshot {
    const now = performance.now();
    this.store.freshen();
    const transaction = this.store.entries.useReadTransaction();
    const entries = this.store.entryCount();
    const size = this.store.size();
    const maxBytes =
      this.maxBytes === 'auto' ? Math.max(AUTO_LEAST, AUTO_SHARE * this.space.available()) : this.maxBytes;
    const snapshot = {
      transaction,
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
      else if (pinnedBytes(snapshot.size, size) > snapshot.maxBytes)
        this.end(snapshot, 'it kept too much overwritten data on the disk', 'MAX_SNAPSHOT_BYTES');
      else if (this.space.available() === 0) this.end(snapshot, 'the disk is nearly full');
    }
  }

  private end(snapshot: Snapshot, why: string, setting = 'MAX_SNAPSHOT_AGE'): void {
    snapshot.error = new DatabaseError('unavailable', `The read was broken off: ${why}.`, { setting });
    this.release(snapshot);
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
