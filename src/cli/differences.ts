import { createHash, type Hash } from 'node:crypto';
import type { Entry } from '../storage/entry.js';
import { compareKeys } from '../storage/key-range.js';
import type { StorageEngine } from '../storage/storage-engine.js';

/** What has to happen to one key of the copy: it becomes `entry`, or goes. */
export interface Difference {
  readonly key: string;
  readonly entry: Entry | undefined;
}

/** What a comparison has seen of one side. */
export interface Side {
  count: number;
  readonly hash: Hash;
}

export function newSide(): Side {
  return { count: 0, hash: createHash('sha256') };
}

/**
 * Walks two databases in key order, side by side, and tells where the copy differs from the original: in value, type or
 * expiry. Tags and times of creation are each database's own.
 * @param seen is told what both sides hold, and follows the walk
 */
export async function* differences(
  original: StorageEngine,
  copy: StorageEngine,
  seen: { readonly original: Side; readonly copy: Side },
): AsyncGenerator<Difference> {
  const left = new Cursor(original, seen.original);
  const right = new Cursor(copy, seen.copy);
  try {
    await left.next();
    await right.next();
    while (left.entry || right.entry) {
      const order = compare(left.entry, right.entry);
      if (order < 0) yield { key: left.entry!.key, entry: left.entry };
      else if (order > 0) yield { key: right.entry!.key, entry: undefined };
      else if (!isSame(left.entry!, right.entry!)) yield { key: left.entry!.key, entry: left.entry };
      if (order <= 0 && !left.step()) await left.next();
      if (order >= 0 && !right.step()) await right.next();
    }
  } finally {
    await left.close();
    await right.close();
  }
}

/** One database, entry by entry. */
class Cursor {
  entry: Entry | undefined;
  private chunk: readonly Entry[] = [];
  private at = -1;
  private readonly chunks: AsyncIterator<readonly Entry[]>;

  constructor(
    engine: StorageEngine,
    private readonly side: Side,
  ) {
    this.chunks = engine.scan({ prefix: '', values: true })[Symbol.asyncIterator]();
  }

  /** On to the next entry of the chunk; false if that was the last. */
  step(): boolean {
    this.entry = this.chunk[++this.at];
    if (!this.entry) return false;
    const { key, type, expires, value } = this.entry;
    this.side.count++;
    this.side.hash.update(`${JSON.stringify([key, type, expires, value.length])}\n`).update(value);
    return true;
  }

  async next(): Promise<void> {
    for (;;) {
      const { done, value } = await this.chunks.next();
      if (done) return;
      this.chunk = value;
      this.at = -1;
      if (this.step()) return;
    }
  }

  async close(): Promise<void> {
    await this.chunks.return?.();
  }
}

function compare(a: Entry | undefined, b: Entry | undefined): number {
  if (!a) return 1;
  return b ? compareKeys(a.key, b.key) : -1;
}

function isSame(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.expires === b.expires && a.value.equals(b.value);
}
