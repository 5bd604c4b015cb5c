import type { Entry } from '../entry.js';
import type { Bounds } from '../key-range.js';
import type { ScanRange } from '../storage-engine.js';
import { decodeUnlessDamaged, recordIn } from './found-record.js';
import { LARGE_READ_BYTES, type Store, type Transaction } from './store.js';

const CHUNK_ENTRIES = 512;
const CHUNK_BYTES = 256 * 1024;

/** Where a chunk begins, and what it may use. */
interface ChunkStart {
  readonly after: string | undefined;
  /** What has ended by then is left out. */
  readonly now: number;
  /** Memory for the large record with which it begins. */
  readonly memory: Buffer | undefined;
}

interface Chunk {
  /** The live ones of the entries that were visited. */
  readonly entries: Entry[];
  readonly visited: number;
  /** The key after which the next chunk begins. */
  readonly next: string | undefined;
  /** The size of the large record with which the next chunk begins, bytes; 0 if it begins with another. */
  readonly large: number;
  readonly isLast: boolean;
}

/** Reads what a scan visits at once. @throws DatabaseError `corrupt` if the scan does not leave out what is damaged */
export function readChunk(
  store: Store,
  transaction: Transaction,
  { values, onDamaged }: ScanRange,
  bounds: Bounds,
  { after, now, memory }: ChunkStart,
): Chunk {
  const options = { start: after === undefined ? bounds.start : `${after}\0`, end: bounds.end, transaction };
  const entries: Entry[] = [];
  /** Those since the last sound one. A damaged key is none to go on from, so what comes before a large record is met again. */
  const damaged = new Set<string>();
  let next = after;
  let [visited, bytes] = [0, 0];
  const report = (): void => {
    visited += damaged.size;
    for (const key of damaged) onDamaged!(key);
    damaged.clear();
  };
  for (const { key, value } of store.entries.getRangeUpTo(LARGE_READ_BYTES, options)) {
    const record = recordIn(store, key, value, memory, transaction);
    if (typeof record === 'number') return { entries, visited, next, large: record, isLast: false };
    bytes += record.length;
    const entry = decodeUnlessDamaged(store, key as string, record, values, onDamaged && damaged);
    if (!entry) continue;
    report();
    visited++;
    store.checkOrder(next, entry.key);
    next = entry.key;
    if (entry.expires === 0 || entry.expires > now) entries.push(entry);
    if (visited >= CHUNK_ENTRIES || bytes >= CHUNK_BYTES)
      return { entries, visited, next, large: 0, isLast: false };
  }
  report();
  return { entries, visited, next, large: 0, isLast: true };
}
