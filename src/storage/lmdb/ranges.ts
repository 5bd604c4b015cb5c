import type { RangeOptions } from 'lmdb';
import type { Entry } from '../entry.js';
import { boundsOf, groupOf, isInRange, prefixEnd, type Bounds, type KeyRange } from '../key-range.js';
import type { RangePage, RangeQuery } from '../storage-engine.js';
import { decodeUnlessDamaged, recordIn } from './found-record.js';
import { provide } from './fresh-memory.js';
import { endOfExpired, splitExpiryKey } from './keys.js';
import { LARGE_READ_BYTES, type Store, type Transaction } from './store.js';
import type { Tree } from './tree.js';

/*
 * Pages and counts are generators: they yield after each step of one to three milliseconds, so that a million expired
 * entries, which a page has to pass, do not keep other requests waiting. What goes on after a step needs the snapshot in
 * which it has begun.
 */

/** The bytes that a page reads in one step. An entry counts as ENTRY_BYTES more. */
const STEP_BYTES = 2 ** 20;
const ENTRY_BYTES = 512;
/** Keys that the library counts by itself in one step, and those that are decoded. */
const COUNTED_AT_ONCE = 20_000;
const DECODED_AT_ONCE = 1_000;

/** Reads one page of a range as it is at `now`. The caller adds the position, from the same snapshot. */
export function* readPage(
  store: Store,
  query: RangeQuery,
  now: number,
  transaction?: Transaction,
): Generator<void, Omit<RangePage, 'position'>> {
  const { prefix, after, limit, delimiter, reverse = false, values = false, maxBytes = Infinity } = query;
  const items: Entry[] = [];
  const groups: string[] = [];
  const damaged = new Set<string>();
  let last: string | undefined;
  let previous = after;
  let bytes = 0;
  let left = STEP_BYTES;
  const bounds = boundsOf(query);
  let start = after === undefined ? undefined : startAfter(after, query);
  /** Memory for the large record that the iteration meets next. */
  let memory: Buffer | undefined;
  // At a group the iteration ends and a new one begins after it, so that the keys of the group are never visited.
  for (let isDone = false; !isDone;) {
    isDone = true;
    let missing = 0;
    const options = { ...rangeOptions(bounds, start, reverse), transaction };
    for (const { key, value } of store.entries.getRangeUpTo(LARGE_READ_BYTES, options)) {
      const record = recordIn(store, key, value, memory, transaction);
      if (typeof record === 'number') {
        missing = record;
        break;
      }
      left -= record.length + ENTRY_BYTES;
      const entry = decodeUnlessDamaged(store, key as string, record, values, damaged);
      // A damaged key is none to go on from.
      if (!entry) continue;
      store.checkOrder(previous, entry.key, reverse);
      previous = entry.key;
      start = reverse ? entry.key : `${entry.key}\0`;
      if (entry.expires === 0 || entry.expires > now) {
        const full = items.length + groups.length === limit || bytes >= maxBytes;
        if (full && last !== undefined) return { items, groups, next: last, ...namedIn(damaged) };
        const group = delimiter ? groupOf(entry.key, prefix, delimiter) : undefined;
        last = group ?? entry.key;
        if (group !== undefined) {
          groups.push(group);
          start = startAfter(group, query);
          isDone = false;
          break;
        }
        items.push(entry);
        if (values) bytes += entry.size;
      }
      if (left > 0) continue;
      isDone = false;
      break;
    }
    if (missing > 0) {
      isDone = false;
      yield;
      memory = Buffer.allocUnsafeSlow(missing);
      yield* provide(memory);
    } else if (left <= 0) {
      // An item may have it.
      if (values) memory = undefined;
      yield;
      left = STEP_BYTES;
    }
  }
  return { items, groups, next: undefined, ...namedIn(damaged) };
}

/** Returns the member of a page that names what it leaves out. */
function namedIn(damaged: ReadonlySet<string>): Pick<RangePage, 'damaged'> {
  return damaged.size > 0 ? { damaged: [...damaged] } : {};
}

/** Returns where an iteration starts after `name`, a key or a group. */
function startAfter(name: string, { prefix, delimiter, reverse = false }: RangeQuery): string | Buffer {
  if (reverse) return name;
  const isGroup = delimiter !== undefined && groupOf(name, prefix, delimiter) === name;
  return isGroup ? prefixEnd(name)! : `${name}\0`;
}

/** Returns the options of an iteration over a range that begins at `from`, or at the range's own bound. */
function rangeOptions(
  { start, end }: Bounds,
  from: string | Buffer | undefined,
  reverse: boolean,
): RangeOptions {
  // A place outside the range must not lead out of it.
  if (!reverse) {
    const isInside = from !== undefined && (!start || Buffer.compare(bytesOf(from), start) > 0);
    return { start: isInside ? from : start, end };
  }
  const isInside = from !== undefined && (!end || Buffer.compare(bytesOf(from), end) < 0);
  return { start: isInside ? from : end, end: start, reverse, exclusiveStart: true, inclusiveEnd: true };
}

function bytesOf(key: string | Buffer): Buffer {
  return typeof key === 'string' ? Buffer.from(key) : key;
}

/** Counts the keys of a range that are live at `now`. */
export function* countLive(
  store: Store,
  range: KeyRange,
  now: number,
  transaction: Transaction,
): Generator<void, number> {
  const { start, end } = boundsOf(range);
  if (start && end && Buffer.compare(start, end) >= 0) return 0;
  const stored = start || end ? yield* countKeys(store.entries, start, end, transaction) : store.entryCount();
  return stored - (yield* countExpired(store, range, now, transaction));
}

/** Counts the keys of a range that have expired at `now` and are still stored. */
function* countExpired(
  store: Store,
  range: KeyRange,
  now: number,
  transaction: Transaction,
): Generator<void, number> {
  const end = endOfExpired(now);
  const { start: first, end: past } = boundsOf(range);
  if (!first && !past) return yield* countKeys(store.expiry, undefined, end, transaction);
  let count = 0;
  for (let start: Buffer | undefined, step = DECODED_AT_ONCE; step === DECODED_AT_ONCE;) {
    step = 0;
    const exclusiveStart = start !== undefined;
    for (const bytes of store.expiry.getKeys({
      start,
      end,
      exclusiveStart,
      limit: DECODED_AT_ONCE,
      transaction,
    })) {
      if (isInRange(splitExpiryKey(bytes).key, range)) count++;
      start = bytes;
      step++;
    }
    yield;
  }
  return count;
}

/** Counts the keys from `start` up to, not including, `end`, without looking at them. */
function* countKeys<K extends string | Buffer>(
  keys: Tree<K>,
  start: K | undefined,
  end: Buffer | undefined,
  transaction: Transaction,
): Generator<void, number> {
  for (let count = 0; ; count += COUNTED_AT_ONCE) {
    const range = { start, end, transaction } as RangeOptions;
    const [next] = keys.getKeys({ ...range, offset: COUNTED_AT_ONCE, limit: 1 });
    // A key that damage has changed must not lead back.
    if (next === undefined || (start !== undefined && Buffer.compare(bytesOf(next), bytesOf(start)) <= 0))
      return count + keys.countKeys(range);
    start = next;
    yield;
  }
}
