import { createHash } from 'node:crypto';
import type { Entry } from '../storage/entry.js';
import { compareKeys } from '../storage/key-range.js';
import type { StorageEngine } from '../storage/storage-engine.js';

const PAGE_ENTRIES = 512;
const PAGE_BYTES = 2 ** 20;

/** What a comparison is to do. */
export interface ComparisonOptions {
  /** Nobody writes to the two: each is read as the one instant it is, and what they have alike is hashed. */
  readonly still: boolean;
  /** Told what a key of the copy has to become: `entry`, or absent. Answers a promise when the walk is to wait. */
  readonly differs: (key: string, entry: Entry | undefined) => Promise<void> | undefined;
  /** Told how many entries of the original have been visited. */
  readonly visited: (count: number) => void;
  readonly signal: AbortSignal;
}

/** What a comparison found. */
export interface Comparison {
  /** Entries of the original. */
  readonly entries: number;
  /** Keys in which the two differ. */
  readonly differences: number;
  /** Of what they have alike, if they are still. */
  readonly sha256: string;
}

/**
 * Walks two databases in key order, side by side, and finds where the copy differs from the original: in value, type or
 * expiry. Tags and times of creation are each database's own. What has expired by the time it is looked at is in neither:
 * it may have been there still when the one was read, and not when the other was.
 */
export async function compare(
  original: StorageEngine,
  copy: StorageEngine,
  { still, differs, visited, signal }: ComparisonOptions,
): Promise<Comparison> {
  const now = () => Math.max(original.now(), copy.now());
  const [left, right] = [new Cursor(chunksOf(original, still)), new Cursor(chunksOf(copy, still))];
  const digest = new Digest();
  let [entries, differences] = [0, 0];
  try {
    for (;;) {
      if (left.isSpent) await left.fill();
      if (right.isSpent) await right.fill();
      signal.throwIfAborted();
      const [wanted, found] = pair(left.entry, right.entry);
      const entry = wanted ?? found;
      if (!entry) return { entries, differences, sha256: digest.hex() };
      if (wanted) left.step();
      if (found) right.step();
      if (wanted) visited(++entries);
      if (wanted && found && isSame(wanted, found)) {
        if (still) digest.add(wanted);
      } else if ((wanted && found) || !isOver(entry, now)) {
        differences++;
        const wait = differs(entry.key, wanted);
        if (wait) await wait;
      }
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/** What is under the lower of two keys: on the one side, on the other, or on both. */
function pair(a: Entry | undefined, b: Entry | undefined): [Entry | undefined, Entry | undefined] {
  if (!a || !b) return [a, b];
  const order = compareKeys(a.key, b.key);
  return [order <= 0 ? a : undefined, order >= 0 ? b : undefined];
}

function isSame(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.expires === b.expires && a.value.equals(b.value);
}

function isOver({ expires }: Entry, now: () => number): boolean {
  return expires !== 0 && expires <= now();
}

/**
 * All entries. A snapshot pins what is overwritten while it lives, so beside those who write an engine that has them is read
 * in pages; a scan also proves that nothing has been lost.
 */
function chunksOf(engine: StorageEngine, still: boolean): AsyncIterable<readonly Entry[]> {
  return engine.capabilities.snapshots && !still
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

/** One database, entry by entry. The next chunk is on its way while one is looked through. */
class Cursor {
  private chunk: readonly Entry[] = [];
  private at = 0;
  private ended = false;
  private readonly chunks: AsyncIterator<readonly Entry[]>;
  private coming: Promise<IteratorResult<readonly Entry[]>>;

  constructor(chunks: AsyncIterable<readonly Entry[]>) {
    this.chunks = chunks[Symbol.asyncIterator]();
    this.coming = this.next();
  }

  /** Undefined at the end. */
  get entry(): Entry | undefined {
    return this.chunk[this.at];
  }

  /** Whether there may be more behind what is known. */
  get isSpent(): boolean {
    return this.at === this.chunk.length && !this.ended;
  }

  step(): void {
    this.at++;
  }

  async fill(): Promise<void> {
    while (this.isSpent) {
      const { done, value } = await this.coming;
      [this.ended, this.chunk, this.at] = [done === true, done ? [] : value, 0];
      if (!done) this.coming = this.next();
    }
  }

  async close(): Promise<void> {
    await this.chunks.return?.().catch(() => undefined);
  }

  private next(): Promise<IteratorResult<readonly Entry[]>> {
    const coming = this.chunks.next();
    coming.catch(() => undefined); // `fill` hears of it
    return coming;
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
