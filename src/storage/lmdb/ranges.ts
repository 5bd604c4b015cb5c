import type { RangeOptions } from 'lmdb';
import type { Entry } from '../entry.js';
import { groupOf, prefixEnd } from '../key-range.js';
import type { RangePage, RangeQuery } from '../storage-engine.js';
import { endOfExpired, splitExpiryKey } from './keys.js';
import type { Store } from './store.js';

const COUNT_AT_ONCE = 20_000;

/** Reads one page of a range as it is at `now`. The caller adds the position, from the same snapshot. */
export function readPage(store: Store, query: RangeQuery, now: number): Omit<RangePage, 'position'> {
  const { prefix, after, limit, delimiter, reverse = false, values = false, maxBytes = Infinity } = query;
  const items: Entry[] = [];
  const groups: string[] = [];
  const damaged: string[] = [];
  let last: string | undefined;
  let previous = after;
  let bytes = 0;
  let from = after === undefined ? undefined : startAfter(after, query);
  // At a group the iteration ends and a new one begins after it, so that the keys of the group are never visited.
  for (let isDone = false; !isDone;) {
    isDone = true;
    for (const { key, value } of store.entries.getRange(rangeOptions(prefix, from, reverse))) {
      const entry = decodeUnlessDamaged(store, key as string, value, damaged);
      if (!entry) continue;
      store.checkOrder(previous, entry.key, reverse);
      previous = entry.key;
      if (entry.expires !== 0 && entry.expires <= now) continue;
      const full = items.length + groups.length === limit || bytes >= maxBytes;
      if (full && last !== undefined) return { items, groups, next: last, ...namedIn(damaged) };
      const group = delimiter ? groupOf(entry.key, prefix, delimiter) : undefined;
      last = group ?? entry.key;
      if (group !== undefined) {
        groups.push(group);
        from = startAfter(group, query);
        isDone = false;
        break;
      }
      items.push(entry);
      if (values) bytes += entry.size;
    }
  }
  return { items, groups, next: undefined, ...namedIn(damaged) };
}

/** Returns the member of a page that names what it leaves out. */
function namedIn(damaged: readonly string[]): Pick<RangePage, 'damaged'> {
  return damaged.length > 0 ? { damaged } : {};
}

/** Returns the entry in `record`, or undefined if it is damaged, and then adds its key to `damaged`. */
function decodeUnlessDamaged(
  store: Store,
  key: string,
  record: Buffer,
  damaged: string[],
): Entry | undefined {
  try {
    return store.decode(key, record);
  } catch {
    damaged.push(key);
    return undefined;
  }
}

/** Returns where an iteration starts after `name`, a key or a group. */
function startAfter(name: string, { prefix, delimiter, reverse = false }: RangeQuery): string | Buffer {
  if (reverse) return name;
  const isGroup = delimiter !== undefined && groupOf(name, prefix, delimiter) === name;
  return isGroup ? prefixEnd(name)! : `${name}\0`;
}

function rangeOptions(prefix: string, from: string | Buffer | undefined, reverse: boolean): RangeOptions {
  const end = prefixEnd(prefix);
  // A start outside the prefix must not lead out of it.
  if (!reverse) {
    const inside = from !== undefined && Buffer.compare(bytesOf(from), bytesOf(prefix)) > 0;
    return { start: inside ? from : prefix || undefined, end };
  }
  const inside = from !== undefined && (!end || Buffer.compare(bytesOf(from), end) < 0);
  const start = inside ? from : end;
  return { start, end: prefix || undefined, reverse, exclusiveStart: true, inclusiveEnd: true };
}

function bytesOf(key: string | Buffer): Buffer {
  return typeof key === 'string' ? Buffer.from(key) : key;
}

/** Counts the keys with `prefix` that are live at `now`. */
export async function countKeys(store: Store, prefix: string, now: number): Promise<number> {
  let count = -countExpired(store, prefix, now);
  if (prefix === '') return count + store.entryCount();
  const end = prefixEnd(prefix);
  // In steps, so that counting millions of keys does not delay other requests.
  for (let start: string | undefined = prefix; start !== undefined;) {
    let last: string | undefined;
    let step = 0;
    for (const key of store.entries.getKeys({ start, end, limit: COUNT_AT_ONCE })) {
      last = key as string;
      step++;
    }
    count += step;
    start = step === COUNT_AT_ONCE ? `${last}\0` : undefined;
    if (start !== undefined) await new Promise((resolve) => setImmediate(resolve));
  }
  return count;
}

/** Counts the keys with `prefix` that have expired at `now` and are still stored. */
export function countExpired(store: Store, prefix: string, now: number): number {
  let count = 0;
  for (const bytes of store.expiry.getKeys({ start: undefined, end: endOfExpired(now) })) {
    if (splitExpiryKey(bytes).key.startsWith(prefix)) count++;
  }
  return count;
}
