import { createHash } from 'node:crypto';
import type { Entry } from '../storage/entry.js';
import { compareKeys } from '../storage/key-range.js';
import type { StorageEngine } from '../storage/storage-engine.js';

const PAGE_ENTRIES = 512;
const PAGE_BYTES = 2 ** 20;

interface ComparisonOptions {
  /** Whether nobody writes to the two databases. Then each is read as of one instant, and equal entries are hashed. */
  readonly frozen: boolean;
  /** Called with what a key of the copy must become: `entry`, or absent. May return a promise to wait for. */
  readonly onDifference: (key: string, entry: Entry | undefined) => Promise<void> | undefined;
  /** Called with the number of entries of the original that were compared so far. */
  readonly onProgress: (count: number) => void;
  readonly signal: AbortSignal;
}

export interface Comparison {
  /** Entries of the original. */
  readonly entries: number;
  /** Keys in which the two differ. */
  readonly differences: number;
  /** Of the equal entries, if both are frozen. */
  readonly sha256: string;
}

/**
 * Walks two databases in key order, side by side, and finds where the copy differs from the original: in value, type or
 * expiry. Tags and times of creation belong to each database alone. An entry that has expired by the time it is compared
 * counts as absent from both: it may have expired between the two reads.
 */
export async function compare(
  original: StorageEngine,
  copy: StorageEngine,
  { frozen, onDifference, onProgress, signal }: ComparisonOptions,
): Promise<Comparison> {
  const now = () => Math.max(original.now(), copy.now());
  const [left, right] = [new Cursor(chunksOf(original, frozen)), new Cursor(chunksOf(copy, frozen))];
  const digest = new Digest();
  let [entries, differences] = [0, 0];
  try {
    for (;;) {
      if (left.needsChunk) await left.fill();
      if (right.needsChunk) await right.fill();
      signal.throwIfAborted();
      const [wanted, found] = pair(left.entry, right.entry);
      const entry = wanted ?? found;
      if (!entry) return { entries, differences, sha256: digest.hex() };
      if (wanted) left.step();
      if (found) right.step();
      if (wanted) onProgress(++entries);
      if (wanted && found && isEqual(wanted, found)) {
        if (frozen) digest.add(wanted);
      } else if ((wanted && found) || !hasExpired(entry, now)) {
        differences++;
        const wait = onDifference(entry.key, wanted);
        if (wait) await wait;
      }
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/** The entries under the lower of two keys: one of the two, or both. */
function pair(a: Entry | undefined, b: Entry | undefined): [Entry | undefined, Entry | undefined] {
  if (!a || !b) return [a, b];
  const order = compareKeys(a.key, b.key);
  return [order <= 0 ? a : undefined, order >= 0 ? b : undefined];
}

function isEqual(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.expires === b.expires && a.value.equals(b.value);
}

function hasExpired({ expires }: Entry, now: () => number): boolean {
  return expires !== 0 && expires <= now();
}

/**
 * All entries. A scan also proves that none is lost; but the snapshot of a scan pins everything that is overwritten while
 * it lives, so an engine with snapshots is read in pages while others write to it.
 */
function chunksOf(engine: StorageEngine, frozen: boolean): AsyncIterable<readonly Entry[]> {
  return engine.capabilities.snapshots && !frozen
    ? pagesOf(engine)
    : engine.scan({ prefix: '', values: true });
}

async function* pagesOf(engine: StorageEngine): AsyncGenerator<readonly Entry[]> {
  let after: string | undefined;
  do {
    const query = { prefix: '', after, limit: PAGE_ENTRIES, values: true, maxBytes: PAGE_BYTES };
    const { items, next } = await engine.range(query);
    yield items as readonly Entry[];
    after = next;
  } while (after !== undefined);
}

/** Walks a database entry by entry, and reads the next chunk ahead. */
class Cursor {
  private chunk: readonly Entry[] = [];
  private index = 0;
  private ended = false;
  private readonly chunks: AsyncIterator<readonly Entry[]>;
  private nextChunk: Promise<IteratorResult<readonly Entry[]>>;

  constructor(chunks: AsyncIterable<readonly Entry[]>) {
    this.chunks = chunks[Symbol.asyncIterator]();
    this.nextChunk = this.readAhead();
  }

  /** The current entry; undefined at the end. */
  get entry(): Entry | undefined {
    return this.chunk[this.index];
  }

  /** Whether `fill` has to be called before the next `entry`. */
  get needsChunk(): boolean {
    return this.index === this.chunk.length && !this.ended;
  }

  step(): void {
    this.index++;
  }

  async fill(): Promise<void> {
    while (this.needsChunk) {
      const { done, value } = await this.nextChunk;
      [this.ended, this.chunk, this.index] = [done === true, done ? [] : value, 0];
      if (!done) this.nextChunk = this.readAhead();
    }
  }

  async close(): Promise<void> {
    await this.chunks.return?.().catch(() => undefined);
  }

  private readAhead(): Promise<IteratorResult<readonly Entry[]>> {
    const next = this.chunks.next();
    next.catch(() => undefined); // `fill` throws it
    return next;
  }
}

/** The SHA-256 of entries in key order. */
class Digest {
  private readonly hash = createHash('sha256');

  add({ key, type, expires, value }: Entry): void {
    this.hash.update(`${JSON.stringify([key, type, expires, value.length])}\n`).update(value);
  }

  hex(): string {
    return this.hash.digest('hex');
  }
}
