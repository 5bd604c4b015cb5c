import { boundsOf } from '../../key-range.js';
import type { Store } from '../store.js';

/*
 * The index of removals: which keys were deleted or expired, and when. With it the history of a key can be followed where it was
 * absent (logged-change.ts).
 *
 * A removal is a key of the tree `removals`: the entry's key, a byte 0xFF, which is in no UTF-8, and the sequence, u48
 * big-endian. So the removals of an entry's key lie side by side, oldest first, and those of a prefix too.
 *
 * It is made from the log alone (removal-indexer.ts) and says itself how far that has been read, under the key 0xFF. So it is in
 * no backup, and a store without it, or one that an older version has written to meanwhile, is no worse.
 */
const END = 0xff;
const SEQUENCE_BYTES = 6;
const MOST_SEQUENCE = 2 ** (8 * SEQUENCE_BYTES) - 1;
const MARK = Buffer.from([END]);
/** LMDB needs a value for each key. */
const VALUE = Buffer.alloc(1);

/** How far the index has come. */
export interface Mark {
  /** Every removal in the log up to this sequence is in the index. */
  readonly indexed: number;
  /** What had left the log up to this sequence has been taken out. */
  readonly swept: number;
}

/** Returns the key in the index of a removal. */
export function removalKey(key: string | Buffer, sequence: number): Buffer {
  const length = Buffer.byteLength(key);
  const bytes = Buffer.allocUnsafe(length + 1 + SEQUENCE_BYTES);
  if (typeof key === 'string') bytes.write(key);
  else bytes.set(key);
  bytes[length] = END;
  bytes.writeUIntBE(sequence, length + 1, SEQUENCE_BYTES);
  return bytes;
}

/** Returns the sequence of a removal, and where its key ends. */
function parse(removal: Buffer): { keyEnd: number; sequence: number } | undefined {
  const keyEnd = removal.length - SEQUENCE_BYTES - 1;
  if (keyEnd < 1) return undefined;
  return { keyEnd, sequence: removal.readUIntBE(keyEnd + 1, SEQUENCE_BYTES) };
}

export function readMark(store: Store): Mark {
  const bytes = store.removals.getBinary(MARK);
  return bytes?.length === 16
    ? { indexed: bytes.readDoubleLE(0), swept: bytes.readDoubleLE(8) }
    : { indexed: 0, swept: 0 };
}

/** Writes the mark, inside a transaction. */
export function writeMark(store: Store, { indexed, swept }: Mark): void {
  const bytes = Buffer.alloc(16);
  bytes.writeDoubleLE(indexed, 0);
  bytes.writeDoubleLE(swept, 8);
  void store.removals.put(MARK, bytes);
}

/** Adds removals, inside a transaction. */
export function addRemovals(store: Store, removals: readonly Buffer[]): void {
  for (const removal of removals) void store.removals.put(removal, VALUE);
}

/** Returns the sequence of the last removal of `key` before `sequence` that is in the index. */
export function lastRemoval(store: Store, key: string, sequence: number): number | undefined {
  const start = removalKey(key, Math.min(sequence - 1, MOST_SEQUENCE));
  const end = removalKey(key, 0);
  const [found] = store.removals.getKeys({ start, end, reverse: true, limit: 1 });
  return found && parse(found)?.sequence;
}

/** Yields the removals of keys that begin with `prefix`, from one on, those of each key side by side. */
export function* removalsIn(
  store: Store,
  prefix: string,
  from: Buffer | undefined,
): Iterable<{ readonly removal: Buffer; readonly key: string; readonly sequence: number }> {
  const { start, end = MARK } = boundsOf({ prefix });
  for (const removal of store.removals.getKeys({ start: from ?? start, end })) {
    const found = parse(removal);
    if (found) yield { removal, key: removal.toString('utf8', 0, found.keyEnd), sequence: found.sequence };
  }
}

/** Returns up to `most` removals after `from`, those among them that have left the log, and where the next begin. */
export function staleRemovals(
  store: Store,
  from: Buffer | undefined,
  floor: number,
  most: number,
): { stale: Buffer[]; next: Buffer | undefined } {
  const stale: Buffer[] = [];
  let visited = 0;
  for (const removal of store.removals.getKeys({ start: from, end: MARK })) {
    if (visited++ === most) return { stale, next: removal };
    if ((parse(removal)?.sequence ?? 0) <= floor) stale.push(removal);
  }
  return { stale, next: undefined };
}
