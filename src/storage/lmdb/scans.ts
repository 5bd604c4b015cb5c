import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import type { Entry } from '../entry.js';
import { prefixEnd } from '../key-range.js';
import type { ScanRange } from '../storage-engine.js';
import type { DiskSpace } from './disk-space.js';
import { decode, decodeHeader } from './record.js';
import type { Store } from './store.js';

const WAIT_MS = 10_000;
const MAX_IDLE_MS = 30_000;
const CHECK_EVERY_MS = 1_000;
const CHUNK_ENTRIES = 512;
const CHUNK_BYTES = 256 * 1024;

type Transaction = ReturnType<Store['entries']['useReadTransaction']>;

interface Snapshot {
  readonly transaction: Transaction;
  /** How many entries the snapshot has, expired ones among them. */
  readonly entries: number;
  readonly startedAt: number;
  pulledAt: number;
  /** Why the snapshot was given back before its reader had finished. */
  ended: DatabaseError | undefined;
}

/**
 * Long readers: each walks one snapshot in chunks, at the pace of its consumer.
 *
 * Problem: a snapshot pins every page that is overwritten while it lives, so a reader that stalls makes the file grow
 * without end, and LMDB has only so many reader slots. Design: some snapshots at once, more wait up to 10 s; a snapshot
 * is taken away from a reader that makes no progress for 30 s, that is older than `maxAge`, or when the disk reserve is
 * reached. Its reader then gets an error, so that what it has sent is never taken for the whole. Snapshots of processes that
 * have died are given back, too, by whoever is left.
 */
export class Scans {
  private readonly open = new Set<Snapshot>();
  private readonly queue: (() => void)[] = [];
  private taken = 0;
  private readonly checker = setInterval(() => this.check(), CHECK_EVERY_MS).unref();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly room: DiskSpace,
    private readonly maxAge: number,
    private readonly atOnce: number,
  ) {}

  async *scan(range: ScanRange): AsyncGenerator<readonly Entry[]> {
    await this.enter();
    const snapshot = this.take();
    try {
      const now = this.clock.now();
      const end = prefixEnd(range.prefix);
      let start: string | undefined = range.prefix || undefined;
      let visited = 0;
      do {
        if (snapshot.ended) throw snapshot.ended;
        const chunk: Entry[] = [];
        const step = this.read(snapshot.transaction, start, end, range.values, now, chunk);
        start = step.next;
        visited += step.visited;
        if (chunk.length > 0) yield chunk;
        snapshot.pulledAt = performance.now();
      } while (start !== undefined);
      // A damaged inner page can lose entries in silence; what they are counted as does not.
      if (range.prefix === '' && visited !== snapshot.entries) throw lostEntries(visited, snapshot.entries);
    } finally {
      this.giveBack(snapshot);
      this.leave();
    }
  }

  close(): void {
    clearInterval(this.checker);
    for (const snapshot of this.open) this.end(snapshot, 'the server is shutting down');
  }

  /** Fills `chunk` with live entries from `start` on; answers where the next chunk starts, if there is one, and how many records it read. */
  private read(
    transaction: Transaction,
    start: string | undefined,
    end: Buffer | undefined,
    values: boolean,
    now: number,
    chunk: Entry[],
  ): { next: string | undefined; visited: number } {
    let bytes = 0;
    let visited = 0;
    for (const { key, value } of this.store.entries.getRange({ start, end, transaction })) {
      const entry = values ? decode(key as string, value) : decodeHeader(key as string, value);
      if (entry.expires === 0 || entry.expires > now) chunk.push(entry);
      bytes += value.length;
      if (++visited === CHUNK_ENTRIES || bytes >= CHUNK_BYTES) return { next: `${entry.key}\0`, visited };
    }
    return { next: undefined, visited };
  }

  private async enter(): Promise<void> {
    if (this.taken < this.atOnce) {
      this.taken++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const granted = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.queue.splice(this.queue.indexOf(granted), 1);
        reject(
          new DatabaseError('busy', `${this.atOnce} listings and exports are under way; try again.`, {
            limit: this.atOnce,
          }),
        );
      }, WAIT_MS);
      this.queue.push(granted);
    });
  }

  /** The place goes to whoever waits longest. */
  private leave(): void {
    const next = this.queue.shift();
    if (next) next();
    else this.taken--;
  }

  private take(): Snapshot {
    const now = performance.now();
    this.store.freshen();
    const transaction = this.store.entries.useReadTransaction();
    const entries = this.store.entryCount();
    const snapshot = { transaction, entries, startedAt: now, pulledAt: now, ended: undefined };
    this.open.add(snapshot);
    return snapshot;
  }

  private giveBack(snapshot: Snapshot): void {
    if (this.open.delete(snapshot)) snapshot.transaction.done();
  }

  private check(): void {
    this.store.buryDeadReaders();
    const now = performance.now();
    for (const snapshot of this.open) {
      if (now - snapshot.pulledAt > MAX_IDLE_MS) this.end(snapshot, 'the reader made no progress for 30 s');
      else if (now - snapshot.startedAt > this.maxAge)
        this.end(snapshot, 'it took longer than MAX_SNAPSHOT_AGE');
      else if (this.room.available() === 0) this.end(snapshot, 'the disk is nearly full');
    }
  }

  private end(snapshot: Snapshot, why: string): void {
    snapshot.ended = new DatabaseError('unavailable', `The read was broken off: ${why}.`, {
      setting: 'MAX_SNAPSHOT_AGE',
    });
    this.giveBack(snapshot);
  }
}

function lostEntries(visited: number, entries: number): DatabaseError {
  const detail = `The database has ${entries} entries, of which only ${visited} can be read. Restore a backup.`;
  return new DatabaseError('corrupt', detail);
}
