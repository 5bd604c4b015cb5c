import type { Entry, EntryHeader } from '../entry.js';
import { compareKeys, type KeyRange } from '../key-range.js';
import type { RangeCount, RangePage, RangeQuery, ScanRange } from '../storage-engine.js';
import { indexBounds } from './index-bounds.js';
import { findPage, valueLimits, type FoundPage } from './pages.js';
import {
  itemsUpTo,
  lowest,
  NO_BYTES,
  readParts,
  type Item,
  type Part,
  type PartQuery,
  type PartState,
} from './parts.js';
import { readPartitions } from './partition-reads.js';
import type { Partition } from './partitions.js';
import { encodePosition, LOG_START, offsetAfter, type Offset } from './position.js';
import { scans } from '../storage-meters.js';
import { decode, decodeHeader } from './record.js';
import { COUNT } from './scripts.js';
import type { RedisStore } from './store.js';

/*
 * Ordered ranges, merged from the indexes of the partitions: pages (pages.ts), counts and scans. Positions are made on
 * demand: most readers need none, and that of hundreds of partitions costs as much as a page.
 */

/** Items that a scan holds in memory, of all partitions together and of each at least. */
const SCAN_ITEMS = 1024;
const MIN_SCAN_ITEMS = 16;
const CHUNK_ENTRIES = 256;
const CHUNK_BYTES = 256 * 1024;
const NO_VALUE = Buffer.alloc(0);
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
    const entry = !header
      ? undefined
      : value
        ? decode(key, header, value)
        : await this.readLarge(partition, key, (await this.head(key))?.size, deadline);
    if (!entry) {
      await this.store.presence.assert(partition, deadline);
      return undefined;
    }
    if (entry.expires === 0) return entry;
    const left = entry.expires - this.store.timeOf(partition);
    if (Math.abs(left) >= EXPIRES_ABOUT_NOW_MS) return left > 0 ? entry : undefined;
    const present = await this.head(key);
    if (present && present.etag !== entry.etag) return this.get(key, deadline);
    return present && entry;
  }

  /** The entry under `key`, live or not, whose value has about `bytes`, over the connection for values of that size. */
  private async readLarge(
    { slot, entryPrefix }: Partition,
    key: string,
    bytes: number | undefined,
    deadline?: number,
  ): Promise<Entry | undefined> {
    const args = ['HMGET', entryPrefix + key, 'h', 'v', 'b'];
    const reply = await this.store.client.run({ slot, args, idempotent: true, deadline, replyBytes: bytes });
    const [header, small, large] = reply as (Buffer | null)[];
    return header ? decode(key, header, (small ?? large)!) : undefined;
  }

  /** The header of the entry under `key`, if it is live by the clock of its server. */
  async head(key: string): Promise<EntryHeader | undefined> {
    const partition = this.store.partitions.ofKey(key);
    const query = { prefix: '', from: key, last: key, reverse: false, delimiter: '' };
    const limits = { valueBytes: NO_BYTES, maxValue: NO_BYTES };
    const [part] = await readParts(this.store, [{ partition }], { ...query, ...limits }, 1);
    const [item] = part!.items;
    return item && decodeHeader(key, item.header!, item.size);
  }

  async readPage(query: RangeQuery): Promise<RangePage> {
    return this.assemble(await findPage(this.store, query), query);
  }

  async count({ prefix, from, to }: KeyRange): Promise<RangeCount> {
    const range = { prefix, from, to };
    const bounds = indexBounds({ ...range, reverse: false, delimiter: '' });
    const partitions = this.store.partitions.ofRange(range);
    const reads = partitions.map((partition) => ({ partition, args: [] }));
    const counts = (await readPartitions(this.store, COUNT, bounds, reads)) as Buffer[];
    const words = counts.map((count) => count.toString('latin1').split(' '));
    const states = words.map(([tag], i) => ({ partition: partitions[i]!, tag: tag! }));
    return this.at(states, { keys: words.reduce((sum, [, live]) => sum + Number(live), 0) });
  }

  /** Visits every entry of a range, in order, each as it was when it was read. */
  async *scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    scans.add(1);
    try {
      yield* this.scanAll(range);
    } finally {
      scans.add(-1);
    }
  }

  private async *scanAll({
    prefix,
    from,
    to,
    values,
    onPosition,
  }: ScanRange): AsyncIterable<readonly Entry[]> {
    const partitions = this.store.partitions.ofRange({ prefix, from, to });
    const limit = Math.max(MIN_SCAN_ITEMS, Math.ceil(SCAN_ITEMS / partitions.length));
    const limits = valueLimits(values, partitions.length);
    const query = { prefix, from, to, reverse: false, delimiter: '', ...limits };
    const starts = partitions.map((partition) => ({ partition }));
    const parts = await readParts(this.store, starts, query, limit);
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
    const starts = needed.map((i) => ({ partition: parts[i]!.partition, after: parts[i]!.end }));
    for (const [at, next] of (await readParts(this.store, starts, query, limit)).entries()) {
      const i = needed[at]!;
      parts[i] = { ...next, items: [...parts[i]!.items, ...next.items] };
    }
  }

  /** Cuts the items at the limits of the page, and reads the values that were not sent along. */
  private async assemble({ items, states }: FoundPage, query: RangeQuery): Promise<RangePage> {
    const { limit, values = false, maxBytes = Infinity } = query;
    let bytes = 0;
    let count = 0;
    while (count < items.length && count < limit && (bytes < maxBytes || count === 0)) {
      bytes += values ? items[count]!.size : 0;
      count++;
    }
    const shown = items.slice(0, count);
    const entries = await Promise.all(
      shown.filter(({ header }) => header !== undefined).map((item) => this.entryOf(item, values)),
    );
    return this.at(states, {
      items: entries.filter((entry) => entry !== undefined),
      groups: shown.filter(({ header }) => header === undefined).map(({ name }) => name),
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
    for (const { partition, tag } of states) offsets[partition.id] = offsetAfter(tag);
    return encodePosition(this.store.epoch, offsets);
  }
}
