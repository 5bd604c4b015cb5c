import type { StoredEntry } from './record.js';
import type { Store, Transaction } from './store.js';

/**
 * Returns the record of `key` that an iteration has found, which gives the size of a large one instead: that is read into
 * `memory` if it fits, and is still its size if not.
 */
export function recordIn(
  store: Store,
  key: string | Buffer,
  found: Buffer | number,
  memory: Buffer | undefined,
  transaction: Transaction | undefined,
): Buffer | number {
  if (typeof found !== 'number' || !memory) return found;
  return store.entries.copyTo(memory, key, transaction) ?? found;
}

/** Returns the entry in `record`, or undefined if it is damaged, and then adds its key to `damaged` if there is that. */
export function decodeUnlessDamaged(
  store: Store,
  key: string,
  record: Buffer,
  withValue: boolean,
  damaged: Set<string> | undefined,
): StoredEntry | undefined {
  try {
    return store.decode(key, record, withValue);
  } catch (error) {
    if (!damaged) throw error;
    damaged.add(key);
    return undefined;
  }
}
