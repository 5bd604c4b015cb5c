import type { Entry, EntryHeader } from '../entry.js';
import { compareKeys, type KeyRange } from '../key-range.js';
import type { RangeCount, RangePage, RangeQuery, ScanRange } from '../storage-engine.js';
import { indexBounds } from './index-bounds.js';
import type { Partition } from './partitions.js';
import { encodePosition, LOG_START, offsetAfter, type Offset } from './position.js';
import { decode, decodeHeader } from './record.js';
import { COUNT, PAGE } from './scripts.js';
import type { RedisStore } from './store.js';

/*
 * Ordered ranges, merged from the indexes of the partitions.
 *
 * Keys are spread evenly, so a page asks every partition at once for a little more than its share. A partition whose part
 * ends before the page is full is read again from the start of the page, with four times the limit: all that a page shows
 * of a partition is of one instant, to which the page's position refers.
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

/** The items that were read from one partition, in order. */
interface Part {
  readonly partition: Partition;
  readonly offset: Offset;
  readonly items: readonly Item[];
  /** The last key that was read; undefined if the partition has no more. */
  readonly end: string | undefined;
  readonly limit: number;
}

/** An entry, or a group, which has no header. */
interface Item {
  readonly name: string;
  readonly header?: EntryHeader;
  /** Undefined if it is too large to be sent along. */
  readonly value?: Buffer;
}

/** A larger value is read by itself, once it is certain to be wanted. */
const MAX_VALUE_BYTES = 64 * 1024;
const VALUE_BYTES_AT_ONCE = 4 * 2 ** 20;
/** Items that a scan holds in memory, of all partitions together and of each at least. */
const SCAN_ITEMS = 1024;
const MIN_SCAN_ITEMS = 16;
const CHUNK_ENTRIES = 256;
const CHUNK_BYTES = 256 * 1024;
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
    const entry = value ? decode(key, header, value) : await this.getLarge(partition, key, deadline);
    if (!entry) return undefined;
    if (entry.expires === 0) return entry;
    const left = entry.expires - this.store.timeOf(partition);
    if (Math.abs(left) < EXPIRES_ABOUT_NOW_MS) {
      const item = await this.readItem(partition, key, Number.MAX_SAFE_INTEGER);
      return item && { ...item.header!, value: item.value! };
    }
    return left > 0 ? entry : undefined;
  }

  async head(key: string): Promise<EntryHeader | undefined> {
    return (await this.readItem(this.store.partitions.ofKey(key), key, NO_BYTES))?.header;
  }

  /** The entry under `key`, over the connection for large values unless it has become small meanwhile. */
  private async getLarge({ slot, entryPrefix }: Partition, key: string, deadline?: number) {
    const replyBytes = (await this.head(key))?.size;
    const args = ['HMGET', entryPrefix + key, 'h', 'v', 'b'];
    const reply = await this.store.client.run({ slot, args, idempotent: true, deadline, replyBytes });
    const [header, small, large] = reply as (Buffer | null)[];
    return header ? decode(key, header, (small ?? large)!) : undefined;
  }

  /** The entry under `key`, if it is live by the clock of its server, with its value if that has at most `bytes`. */
  private async readItem(partition: Partition, key: string, bytes: number): Promise<Item | undefined> {
    const bound = `[${key}`;
    const limits = [String(bytes), String(bytes)];
    const reply = await this.store.query(partition, PAGE, [bound, bound, '0', '1', key, '', ...limits]);
    const [, , [item]] = reply as [Buffer, Buffer | null, [Buffer, Buffer, number, Buffer | null][]];
    return item && decodeItem(key, item[1], item[2], item[3]);
  }

  async readPage(query: RangeQuery): Promise<RangePage> {
    const { prefix, from, to, after, limit, delimiter = '', reverse = false, values = false } = query;
    const partitions = this.store.partitions.ofPrefix(prefix);
    const range = { prefix, from, to };
    const partQuery = { ...range, after, reverse, delimiter, ...valueLimits(values, partitions.length) };
    const share = shareOf(limit + 1, partitions.length);
    let parts = await Promise.all(partitions.map((each) => this.read(each, partQuery, share)));
    for (;;) {
      const { items, short } = merge(parts, reverse, limit + 1);
      if (short.size === 0) return this.assemble(items, query, parts);
      parts = await Promise.all(
        parts.map(async (part) =>
          short.has(part) ? this.read(part.partition, partQuery, part.limit * 4) : part,
        ),
      );
    }
  }

  async count(range: KeyRange): Promise<RangeCount> {
    const bounds = indexBounds({ ...range, after: undefined, reverse: false });
    const partitions = this.store.partitions.ofPrefix(range.prefix);
    const counts = await Promise.all(
      partitions.map(async (partition) => {
        const [tag, live] = (await this.store.query(partition, COUNT, bounds)) as [Buffer, number];
        return { partition, live, offset: offsetAfter(tag.toString('latin1')) };
      }),
    );
    const keys = counts.reduce((sum, { live }) => sum + live, 0);
    return { keys, position: this.positionOf(counts) };
  }

  /** Visits every entry of a range, in order, each as it was when it was read. */
  async *scan({ prefix, from, to, values, onPosition }: ScanRange): AsyncIterable<readonly Entry[]> {
    const partitions = this.store.partitions.ofPrefix(prefix);
    const limit = Math.max(MIN_SCAN_ITEMS, Math.ceil(SCAN_ITEMS / partitions.length));
    const limits = valueLimits(values, partitions.length);
    const query = { prefix, from, to, after: undefined, reverse: false, delimiter: '', ...limits };
    const parts: Part[] = await Promise.all(partitions.map((each) => this.read(each, query, limit)));
    onPosition?.(this.positionOf(parts));
    for (;;) {
      // Up to the lowest end everything is known.
      const bound = lowest(parts.map(({ end }) => end));
      const items = parts.flatMap((part) => itemsUpTo(part.items, bound));
      items.sort((a, b) => compareKeys(a.name, b.name));
      yield* this.chunksOf(items, values);
      if (bound === undefined) return;
      await Promise.all(
        parts.map(async (part, i) => {
          const rest = part.items.slice(itemsUpTo(part.items, bound).length);
          parts[i] = { ...part, items: rest };
          if (part.end === undefined || rest.length > limit / 2) return;
          const next = await this.read(part.partition, { ...query, after: part.end }, limit);
          parts[i] = { ...next, items: [...rest, ...next.items] };
        }),
      );
    }
  }

  private async read(partition: Partition, query: PartQuery, limit: number): Promise<Part> {
    const { prefix, after, reverse, delimiter, valueBytes, maxValue } = query;
    const reply = await this.store.query(partition, PAGE, [
      ...indexBounds(query),
      reverse ? '1' : '0',
      String(limit),
      prefix,
      delimiter,
      String(valueBytes),
      String(maxValue),
    ]);
    const [tag, end, items] = reply as [
      Buffer,
      Buffer | null,
      [Buffer, Buffer?, number?, (Buffer | null)?][],
    ];
    return {
      partition,
      offset: offsetAfter(tag.toString('latin1')),
      end: end?.toString(),
      limit,
      items: items
        .map(([name, header, size, value]) => decodeItem(name.toString(), header, size, value))
        // The name of a group that `after` names skips the whole group.
        .filter(({ name }) => name !== after),
    };
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
      bytes += values ? (items[count]!.header?.size ?? 0) : 0;
      count++;
    }
    const shown = items.slice(0, count);
    const entries = await Promise.all(
      shown.filter(({ header }) => header).map((item) => this.entryOf(item, values)),
    );
    return {
      items: entries.filter((entry) => entry !== undefined),
      groups: shown.filter(({ header }) => !header).map(({ name }) => name),
      next: count < items.length ? items[count - 1]!.name : undefined,
      position: this.positionOf(parts),
    };
  }

  private async entryOf(
    { header, value }: Item,
    values: boolean,
  ): Promise<(EntryHeader & { value?: Buffer }) | undefined> {
    if (!values) return header;
    return value ? { ...header!, value } : this.get(header!.key);
  }

  /** The entries of `items`. Large values are read when they are due, so that memory does not grow with them. */
  private async *chunksOf(items: readonly Item[], values: boolean): AsyncIterable<readonly Entry[]> {
    let chunk: Entry[] = [];
    let bytes = 0;
    for (const { header, value } of items) {
      const known = values ? value : NO_VALUE;
      const entry = known ? { ...header!, value: known } : await this.get(header!.key);
      if (!entry) continue;
      chunk.push(entry);
      bytes += entry.value.length;
      if (chunk.length < CHUNK_ENTRIES && bytes < CHUNK_BYTES) continue;
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    if (chunk.length > 0) yield chunk;
  }

  private positionOf(parts: readonly Pick<Part, 'partition' | 'offset'>[]): string {
    const offsets: Offset[] = this.store.partitions.all.map(() => LOG_START);
    for (const { partition, offset } of parts) offsets[partition.id] = offset;
    return encodePosition(this.store.epoch, offsets);
  }
}

function valueLimits(values: boolean, partitions: number): Pick<PartQuery, 'valueBytes' | 'maxValue'> {
  const maxValue = values ? MAX_VALUE_BYTES : NO_BYTES;
  return { maxValue, valueBytes: Math.max(maxValue, Math.ceil(VALUE_BYTES_AT_ONCE / partitions)) };
}

/** How many of `items` to read from each partition: the mean and three deviations, so that few are read again. */
function shareOf(items: number, partitions: number): number {
  const mean = items / partitions;
  return partitions === 1 ? items : Math.ceil(mean + 3 * Math.sqrt(mean)) + 1;
}

function decodeItem(name: string, header?: Buffer, size?: number, value?: Buffer | null): Item {
  return header ? { name, header: decodeHeader(name, header, size!), value: value ?? undefined } : { name };
}

/** The first items of all parts, in order and each once, and the parts that end before them. */
function merge(
  parts: readonly Part[],
  reverse: boolean,
  limit: number,
): { items: readonly Item[]; short: ReadonlySet<Part> } {
  const direction = reverse ? -1 : 1;
  const all = parts.flatMap((part) => part.items);
  all.sort((a, b) => compareKeys(a.name, b.name) * direction);
  const items: Item[] = [];
  for (const item of all) {
    if (items.length === limit) break;
    if (item.name !== items.at(-1)?.name) items.push(item);
  }
  const last = items.length === limit ? items.at(-1)!.name : undefined;
  const short = parts.filter(
    ({ end }) => end !== undefined && (last === undefined || compareKeys(end, last) * direction < 0),
  );
  return { items, short: new Set(short) };
}

/** Undefined if no key is given: there is no bound. */
function lowest(keys: readonly (string | undefined)[]): string | undefined {
  const [first] = keys.filter((key) => key !== undefined).sort(compareKeys);
  return first;
}

function itemsUpTo(items: readonly Item[], bound: string | undefined): readonly Item[] {
  if (bound === undefined) return items;
  const past = items.findIndex(({ name }) => compareKeys(name, bound) > 0);
  return past < 0 ? items : items.slice(0, past);
}
