import { compareKeys, prefixEnd } from '../key-range.js';
import type { Entry, EntryHeader } from '../entry.js';
import type { RangePage, RangeQuery, ScanRange } from '../storage-engine.js';
import type { RedisStore } from './store.js';
import type { Partition } from './partitions.js';
import { entryOf, headerOf } from './record.js';
import { encodePosition, markOf, START, type Mark } from './position.js';
import { PAGE } from './scripts.js';

/*
 * Ordered ranges, merged from the ordered indexes of the partitions.
 *
 * Keys are spread evenly, so each partition is asked for a little more than its share of a page, all at once. Where a
 * partition's share turns out to be used up before the page is full, it is asked again, from the start of the page, for
 * four times as much: everything that a page shows of a partition is of one instant, which its position tells.
 */

/** Names read from one partition, in the order of the page. */
interface Part {
  readonly partition: Partition;
  readonly mark: Mark;
  readonly names: readonly Name[];
  /** How far the partition has been looked through; undefined to its end. */
  readonly upTo: string | undefined;
  readonly asked: number;
}

/** An entry, or a group, which has no header. */
interface Name {
  readonly name: string;
  readonly header?: EntryHeader;
  /** Undefined where it is too large to be sent along. */
  readonly value?: Buffer;
}

/** Which names of a partition are read, and what of them. */
interface Cut {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly reverse: boolean;
  readonly delimiter: string;
  /** Bytes of values sent along in all, and of one; -1 for none. */
  readonly valueBytes: number;
  readonly maxValue: number;
}

/** Larger values are fetched one by one, when it is certain that they are wanted. */
const MAX_VALUE_ALONG = 64 * 1024;
const BYTES_AT_ONCE = 4 * 2 ** 20;
/** Names that a scan holds ready, and how much it gives out at once. */
const SCAN_NAMES = 1024;
const LEAST_SCAN_NAMES = 16;
const CHUNK_NAMES = 256;
const CHUNK_BYTES = 2 ** 20;
const NO_VALUE = Buffer.alloc(0);

export class RedisRanges {
  constructor(private readonly database: RedisStore) {}

  async page(query: RangeQuery): Promise<RangePage> {
    const { prefix, after, limit, delimiter = '', reverse = false, values = false } = query;
    const maxValue = values ? MAX_VALUE_ALONG : -1;
    const partitions = this.database.layout.partitionsOf(prefix);
    const valueBytes = Math.max(maxValue, Math.ceil(BYTES_AT_ONCE / partitions.length));
    const cut = { prefix, after, reverse, delimiter, maxValue, valueBytes };
    const share = shareOf(limit + 1, partitions.length);
    let parts = await Promise.all(partitions.map((partition) => this.read(partition, cut, share)));
    for (;;) {
      const merged = merge(parts, reverse, limit + 1);
      const short = merged.short.length;
      if (short === 0) return this.finish(merged.names, query, parts);
      const again = new Set(merged.short);
      parts = await Promise.all(
        parts.map(async (part) => (again.has(part) ? this.read(part.partition, cut, part.asked * 4) : part)),
      );
    }
  }

  /** Every entry of a range, in order, each as it was when it was read. */
  async *scan({ prefix, values }: ScanRange): AsyncIterable<readonly Entry[]> {
    const partitions = this.database.layout.partitionsOf(prefix);
    const most = Math.max(LEAST_SCAN_NAMES, Math.ceil(SCAN_NAMES / partitions.length));
    const maxValue = values ? MAX_VALUE_ALONG : -1;
    const valueBytes = Math.max(maxValue, Math.ceil(BYTES_AT_ONCE / partitions.length));
    const cut = { prefix, after: undefined, reverse: false, delimiter: '', maxValue, valueBytes };
    const buffers: Part[] = await Promise.all(partitions.map((each) => this.read(each, cut, most)));
    for (;;) {
      const bound = lowest(buffers.map(({ upTo }) => upTo));
      const names = buffers.flatMap((part) => upTo(part.names, bound));
      names.sort((a, b) => compareKeys(a.name, b.name));
      yield* this.chunksOf(names, values);
      if (bound === undefined) return;
      await Promise.all(
        buffers.map(async (part, i) => {
          const rest = part.names.slice(upTo(part.names, bound).length);
          buffers[i] = { ...part, names: rest };
          if (part.upTo === undefined || rest.length > most / 2) return;
          const more = await this.read(part.partition, { ...cut, after: part.upTo }, most);
          buffers[i] = { ...more, names: [...rest, ...more.names] };
        }),
      );
    }
  }

  private async read(partition: Partition, cut: Cut, most: number): Promise<Part> {
    const { prefix, after, reverse, delimiter, valueBytes, maxValue } = cut;
    const [low, high] = bounds(cut);
    const reply = await this.database.ask(partition, PAGE, [
      low,
      high,
      reverse ? '1' : '0',
      String(most),
      prefix,
      delimiter,
      String(valueBytes),
      String(maxValue),
    ]);
    const [tag, upTo, names] = reply as [
      Buffer,
      Buffer | null,
      [Buffer, Buffer?, number?, (Buffer | null)?][],
    ];
    return {
      partition,
      mark: markOf(tag.toString('latin1')),
      upTo: upTo?.toString(),
      asked: most,
      names: names
        .map(([name, header, size, value]) => nameOf(name.toString(), header, size, value))
        // The name of a group that `after` names skips the whole group.
        .filter(({ name }) => name !== after),
    };
  }

  /** Cuts the page at its limits and gets the values that were left behind. */
  private async finish(
    names: readonly Name[],
    query: RangeQuery,
    parts: readonly Part[],
  ): Promise<RangePage> {
    const { limit, values = false, maxBytes = Infinity } = query;
    let bytes = 0;
    let count = 0;
    while (count < names.length && count < limit && (bytes < maxBytes || count === 0)) {
      bytes += values ? (names[count]!.header?.size ?? 0) : 0;
      count++;
    }
    const shown = names.slice(0, count);
    const items = await Promise.all(
      shown.filter(({ header }) => header).map((name) => this.itemOf(name, values)),
    );
    return {
      items: items.filter((item) => item !== undefined),
      groups: shown.filter(({ header }) => !header).map(({ name }) => name),
      next: count < names.length ? names[count - 1]!.name : undefined,
      position: this.positionOf(parts),
    };
  }

  private async itemOf(name: Name, values: boolean): Promise<(EntryHeader & { value?: Buffer }) | undefined> {
    const { header, value } = name;
    if (!values) return header;
    return value ? { ...header!, value } : this.fetch(header!.key);
  }

  /** The entries of `names`, with large values got as they are wanted, so that memory does not grow with them. */
  private async *chunksOf(names: readonly Name[], values: boolean): AsyncIterable<readonly Entry[]> {
    let chunk: Entry[] = [];
    let bytes = 0;
    for (const { header, value } of names) {
      const known = values ? value : NO_VALUE;
      const entry = known ? { ...header!, value: known } : await this.fetch(header!.key);
      if (!entry) continue;
      chunk.push(entry);
      bytes += entry.value.length;
      if (chunk.length < CHUNK_NAMES && bytes < CHUNK_BYTES) continue;
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    if (chunk.length > 0) yield chunk;
  }

  /** The live entry under `key`, in one round trip. */
  async fetch(key: string, due?: number): Promise<Entry | undefined> {
    const { slot, entries } = this.database.layout.partitionOf(key);
    const args = ['HMGET', entries + key, 'h', 'v'];
    const reply = await this.database.nodes.run({ slot, args, repeatable: 'repeatable', due });
    const [header, value] = reply as [Buffer | null, Buffer | null];
    if (!header || !value) return undefined;
    const entry = entryOf(key, header, value);
    return entry.expires !== 0 && entry.expires <= this.database.clock.now() ? undefined : entry;
  }

  private positionOf(parts: readonly Part[]): string {
    const marks: Mark[] = this.database.layout.partitions.map(() => START);
    for (const { partition, mark } of parts) marks[partition.id] = mark;
    return encodePosition(this.database.epoch, marks);
  }
}

/** How many names of a partition a page of `names` needs: the mean and three deviations, so that few are asked again. */
function shareOf(names: number, partitions: number): number {
  const mean = names / partitions;
  return partitions === 1 ? names : Math.ceil(mean + 3 * Math.sqrt(mean)) + 1;
}

/** The bounds of ZRANGEBYLEX for the keys of a cut. */
export function bounds({
  prefix,
  after,
  reverse,
}: Pick<Cut, 'prefix' | 'after' | 'reverse'>): [low: string | Buffer, high: string | Buffer] {
  const end = prefixEnd(prefix);
  const first = prefix === '' ? '-' : `[${prefix}`;
  const last = end ? Buffer.concat([Buffer.from('('), end]) : '+';
  if (after === undefined) return [first, last];
  if (reverse) return [first, compareBytes(after, end) < 0 ? `(${after}` : last];
  return [compareKeys(after, prefix) < 0 ? first : `(${after}`, last];
}

function compareBytes(key: string, end: Buffer | undefined): number {
  return end ? Buffer.compare(Buffer.from(key), end) : -1;
}

function nameOf(name: string, header?: Buffer, size?: number, value?: Buffer | null): Name {
  return header ? { name, header: headerOf(name, header, size!), value: value ?? undefined } : { name };
}

/** The first names of all parts, in order and each once, and the parts that would have to be read further. */
function merge(
  parts: readonly Part[],
  reverse: boolean,
  most: number,
): { names: readonly Name[]; short: Part[] } {
  const direction = reverse ? -1 : 1;
  const all = parts.flatMap(({ names }) => names);
  all.sort((a, b) => compareKeys(a.name, b.name) * direction);
  const names: Name[] = [];
  for (const name of all) {
    if (names.length === most) break;
    if (name.name !== names.at(-1)?.name) names.push(name);
  }
  const last = names.length === most ? names.at(-1)!.name : undefined;
  const short = parts.filter(
    ({ upTo: end }) => end !== undefined && (last === undefined || compareKeys(end, last) * direction < 0),
  );
  return { names, short };
}

function lowest(bounds_: readonly (string | undefined)[]): string | undefined {
  let lowestBound: string | undefined;
  for (const bound of bounds_) {
    if (bound !== undefined && (lowestBound === undefined || compareKeys(bound, lowestBound) < 0))
      lowestBound = bound;
  }
  return lowestBound;
}

function upTo(names: readonly Name[], bound: string | undefined): readonly Name[] {
  if (bound === undefined) return names;
  const past = names.findIndex(({ name }) => compareKeys(name, bound) > 0);
  return past < 0 ? names : names.slice(0, past);
}
