import type { Entry, EntryHeader } from '../entry.js';
import { compareKeys, type KeyRange } from '../key-range.js';
import type { RangeCount, RangePage, RangeQuery, ScanRange } from '../storage-engine.js';
import { readPartitions } from './partition-reads.js';
import { indexBounds } from './index-bounds.js';
import type { Partition } from './partitions.js';
import {
  countBare,
  decodePart,
  itemsUpTo,
  lowest,
  merge,
  withHeaders,
  type Item,
  type Part,
  type PartReply,
  type PartStart,
  type PartState,
} from './parts.js';
import { encodePosition, LOG_START, offsetAfter, type Offset } from './position.js';
import { decode, decodeHeader } from './record.js';
import { COUNT, PAGE } from './scripts.js';
import type { RedisStore } from './store.js';

/*
 * Ordered ranges, merged from the indexes of the partitions.
 *
 * Keys are spread evenly, so a page asks every partition at once for a little more than its share. A partition whose part
 * ends before the page is full is read again from the start of the page, with four times the limit: all that a page shows
 * of a partition is of one instant, to which the page's position refers. Over many partitions a little more than a share is
 * several times what the page shows; so names are read first, then the headers of those that are shown, and where a
 * partition has changed in between, what was read last counts. Positions are made on demand: most readers need
 * none, and that of hundreds of partitions costs as much as the page.
 */

/** What a page or a scan reads from each partition. */
interface PartQuery extends KeyRange {
  readonly after: string | undefined;
  readonly reverse: boolean;
  readonly delimiter: string;
  /** Bytes of all values that are sent along, and of a single one; -1 for none. */
  readonly valueBytes: number;
  readonly maxValue: number;
}

/** A larger value is read by itself, once it is certain to be wanted. */
const MAX_VALUE_BYTES = 64 * 1024;
const VALUE_BYTES_AT_ONCE = 4 * 2 ** 20;
/** Items that a scan holds in memory, of all partitions together and of each at least. */
const SCAN_ITEMS = 1024;
const MIN_SCAN_ITEMS = 16;
/** Items that one call reads, so that it does not hold up others: about a millisecond. */
const ITEMS_AT_ONCE = 256;
const CHUNK_ENTRIES = 256;
const CHUNK_BYTES = 256 * 1024;
/** A page that has to read so many times its items reads names first. */
const NAMES_FIRST = 2;
const NO_VALUE = Buffer.alloc(0);
/** For items without values. */
const NO_BYTES = -1;
/** Longer than what is known here of a server's time can be wrong. */
const EXPIRES_ABOUT_NOW_MS = 2_000;

/** Reads and counts entries, alone and in order. */
export class RedisRanges {
  constructor(private readonly store: RedisStore) {}

  /** The live entry under `key`, in one round trip unless it is large or expires about now. */
  async get(key: string, deadline?: number): Promise<Entry | undefined> {
    const partition = this.store.partitions.ofKey(key);
    const args = ['HMGET', partition.entryPrefix + key, 'h', 'v'];
    const reply = await this.store.client.run({ slot: partition.slot, args, idempotent: true, deadline });
    const [header, value] = reply as [Buffer | null, Buffer | null];
    if (!header) return undefined;
    const entry = value
      ? decode(key, header, value)
      : await this.store.readEntry(partition, key, (await this.head(key))?.size, deadline);
    if (!entry) return undefined;
    if (entry.expires === 0) return entry;
    const left = entry.expires - this.store.timeOf(partition);
    if (Math.abs(left) < EXPIRES_ABOUT_NOW_MS) {
      const item = await this.readItem(partition, key, Number.MAX_SAFE_INTEGER);
      return item && decode(key, item.header!, item.value!);
    }
    return left > 0 ? entry : undefined;
  }

  async head(key: string): Promise<EntryHeader | undefined> {
    const item = await this.readItem(this.store.partitions.ofKey(key), key, NO_BYTES);
    return item && decodeHeader(key, item.header!, item.size);
  }

  /** The entry under `key`, if it is live by the clock of its server, with its value if that has at most `bytes`. */
  private async readItem(partition: Partition, key: string, bytes: number): Promise<Item | undefined> {
    const bound = `[${key}`;
    const limits = [String(bytes), String(bytes)];
    const shared = [bound, bound, '0', '', '', ...limits];
    const [reply] = await readPartitions(this.store, PAGE, shared, [{ partition, args: ['1', '', '0'] }]);
    return decodePart({ partition, limit: 1, names: false }, undefined, reply as PartReply).items[0];
  }

  async readPage(query: RangeQuery): Promise<RangePage> {
    const { prefix, from, to, after, limit, delimiter = '', reverse = false, values = false } = query;
    const range = { prefix, from, to };
    const partitions = this.store.partitions.ofRange(range);
    const partQuery = { ...range, after, reverse, delimiter, ...valueLimits(values, partitions.length) };
    const limitEach = shareOf(limit + 1, partitions.length);
    const names = limitEach * partitions.length > NAMES_FIRST * limit;
    let parts: readonly Part[] = await this.read(
      partitions.map((partition) => ({ partition, limit: limitEach, names })),
      partQuery,
    );
    for (;;) {
      const { items, short } = merge(parts, reverse, limit + 1);
      const starts = short.size > 0 ? again(short) : headersOf(parts, items.at(-1)?.name, reverse);
      if (starts.length === 0) return this.assemble(items, query, parts);
      const read = new Map((await this.read(starts, partQuery)).map((part) => [part.partition, part]));
      parts = parts.map((part) => {
        const later = read.get(part.partition);
        if (!later) return part;
        return part.names && !later.names ? withHeaders(part, later) : later;
      });
    }
  }

  async count(range: KeyRange): Promise<RangeCount> {
    const bounds = indexBounds({ ...range, after: undefined, reverse: false });
    const partitions = this.store.partitions.ofRange(range);
    const reads = partitions.map((partition) => ({ partition, args: [] }));
    const counts = (await readPartitions(this.store, COUNT, bounds, reads)) as [Buffer, number][];
    const states = counts.map(([tag], i) => ({ partition: partitions[i]!, tag }));
    return this.at(states, { keys: counts.reduce((sum, [, live]) => sum + live, 0) });
  }

  /** Visits every entry of a range, in order, each as it was when it was read. */
  async *scan({ prefix, from, to, values, onPosition }: ScanRange): AsyncIterable<readonly Entry[]> {
    const partitions = this.store.partitions.ofRange({ prefix, from, to });
    const limit = Math.max(MIN_SCAN_ITEMS, Math.ceil(SCAN_ITEMS / partitions.length));
    const limits = valueLimits(values, partitions.length);
    const query = { prefix, from, to, after: undefined, reverse: false, delimiter: '', ...limits };
    const parts = await this.read(
      partitions.map((partition) => ({ partition, limit, names: false })),
      query,
    );
    onPosition?.(this.positionOf(parts));
    for (;;) {
      // Up to the lowest end everything is known.
      const bound = lowest(parts.map(({ end }) => end));
      const items = parts.flatMap((part) => itemsUpTo(part.items, bound));
      items.sort((a, b) => compareKeys(a.name, b.name));
      yield* this.chunksOf(items, values);
      if (bound === undefined) return;
      await this.readOn(parts, bound, limit, query);
    }
  }

  /** Takes away what is up to `bound`, and reads on where little is left. */
  private async readOn(parts: Part[], bound: string, limit: number, query: PartQuery): Promise<void> {
    const needed: number[] = [];
    for (const [i, part] of parts.entries()) {
      const items = part.items.slice(itemsUpTo(part.items, bound).length);
      parts[i] = { ...part, items };
      if (part.end !== undefined && items.length <= limit / 2) needed.push(i);
    }
    const starts = needed.map((i) => ({
      partition: parts[i]!.partition,
      after: parts[i]!.end,
      limit,
      names: false,
    }));
    for (const [at, next] of (await this.read(starts, query)).entries()) {
      const i = needed[at]!;
      parts[i] = { ...next, items: [...parts[i]!.items, ...next.items] };
    }
  }

  private async read(starts: readonly PartStart[], query: PartQuery): Promise<Part[]> {
    if (starts.length === 0) return [];
    const { reverse, prefix, delimiter, valueBytes, maxValue } = query;
    const limits = [String(valueBytes), String(maxValue)];
    const shared = [...indexBounds(query), reverse ? '1' : '0', prefix, delimiter, ...limits];
    const reads = starts.map(({ partition, after = '', limit, names }) => ({
      partition,
      args: [String(limit), after, names ? '1' : '0'],
    }));
    const most = Math.max(1, Math.floor(ITEMS_AT_ONCE / starts[0]!.limit));
    const replies = await readPartitions(this.store, PAGE, shared, reads, most);
    return replies.map((reply, i) => decodePart(starts[i]!, query.after, reply as PartReply));
  }

  /** Cuts the items at the limits of the page, and reads the values that were not sent along. */
  private async assemble(
    items: readonly Item[],
    query: RangeQuery,
    parts: readonly Part[],
  ): Promise<RangePage> {
    const { limit, values = false, maxBytes = Infinity } = query;
    let bytes = 0;
    let count = 0;
    while (count < items.length && count < limit && (bytes < maxBytes || count === 0)) {
      bytes += values ? items[count]!.size : 0;
      count++;
    }
    const shown = items.slice(0, count);
    const entries = await Promise.all(
      shown.filter(({ isGroup }) => !isGroup).map((item) => this.entryOf(item, values)),
    );
    return this.at(parts, {
      items: entries.filter((entry) => entry !== undefined),
      groups: shown.filter(({ isGroup }) => isGroup).map(({ name }) => name),
      next: count < items.length ? items[count - 1]!.name : undefined,
    });
  }

  private async entryOf(
    { name, header, size, value }: Item,
    values: boolean,
  ): Promise<(EntryHeader & { value?: Buffer }) | undefined> {
    if (!values) return decodeHeader(name, header!, size);
    return value ? decode(name, header!, value) : this.get(name);
  }

  /** The entries of `items`. Large values are read when they are due, so that memory does not grow with them. */
  private async *chunksOf(items: readonly Item[], values: boolean): AsyncIterable<readonly Entry[]> {
    let chunk: Entry[] = [];
    let bytes = 0;
    for (const { name, header, size, value } of items) {
      const known = values ? value : NO_VALUE;
      const entry = known ? { ...decodeHeader(name, header!, size), value: known } : await this.get(name);
      if (!entry) continue;
      chunk.push(entry);
      bytes += entry.value.length;
      if (chunk.length < CHUNK_ENTRIES && bytes < CHUNK_BYTES) continue;
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    if (chunk.length > 0) yield chunk;
  }

  /** Adds the position that `result` shows. */
  private at<T extends object>(states: readonly PartState[], result: T): T & { readonly position: string } {
    const position = () => this.positionOf(states);
    return Object.defineProperty(result as T & { position: string }, 'position', {
      enumerable: true,
      get: position,
    });
  }

  private positionOf(states: readonly PartState[]): string {
    const offsets: Offset[] = this.store.partitions.all.map(() => LOG_START);
    for (const { partition, tag } of states) offsets[partition.id] = offsetAfter(tag.toString('latin1'));
    return encodePosition(this.store.epoch, offsets);
  }
}

function valueLimits(values: boolean, partitions: number): Pick<PartQuery, 'valueBytes' | 'maxValue'> {
  const maxValue = values ? MAX_VALUE_BYTES : NO_BYTES;
  return { maxValue, valueBytes: Math.max(maxValue, Math.ceil(VALUE_BYTES_AT_ONCE / partitions)) };
}

/** How many of `items` to read from each partition: the mean and two deviations, so that few are read again. */
function shareOf(items: number, partitions: number): number {
  const mean = items / partitions;
  return partitions === 1 ? items : Math.ceil(mean + 2 * Math.sqrt(mean));
}

/** Parts that ended too early, from the start. */
function again(short: ReadonlySet<Part>): PartStart[] {
  return [...short].map(({ partition, limit, names }) => ({ partition, limit: limit * 4, names }));
}

/** What a page up to `last` shows and of which only the names are known. */
function headersOf(parts: readonly Part[], last: string | undefined, reverse: boolean): PartStart[] {
  const starts = parts.map((part) => ({ part, limit: part.names ? countBare(part, last, reverse) : 0 }));
  return starts
    .filter(({ limit }) => limit > 0)
    .map(({ part: { partition }, limit }) => ({ partition, limit, names: false }));
}
