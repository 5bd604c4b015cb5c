import { compareKeys } from '../key-range.js';
import { indexBounds, type IndexQuery } from './index-bounds.js';
import { readPartitions } from './partition-reads.js';
import type { Partition } from './partitions.js';
import { PAGE } from './scripts.js';
import type { RedisStore } from './store.js';

/*
 * Parts of a range, each of one partition: how they are read (scripts/page.lua), and how they become one.
 */

/** What is read of each partition. */
export interface PartQuery extends IndexQuery {
  /** Bytes of all values that are sent along, and of a single one; NO_BYTES for none. */
  readonly valueBytes: number;
  readonly maxValue: number;
}

/** Where the reading of a partition begins. */
export interface PartStart {
  readonly partition: Partition;
  /** Undefined at the start of the query. */
  readonly after?: string | undefined;
}

/** The last tag of a partition when it was read. */
export interface PartState {
  readonly partition: Partition;
  readonly tag: string;
}

/** The items that were read from one partition, in order. */
export interface Part extends PartState {
  readonly items: readonly Item[];
  /** The last key that was read; undefined if the partition has no more. */
  readonly end: string | undefined;
  /** The most items that were asked for. */
  readonly limit: number;
}

/** The first names of a partition, in order, each as the text of its bytes: that sorts as Redis does. */
export interface Head extends PartState {
  readonly names: readonly string[];
}

/** An entry, or a group. */
export interface Item {
  readonly name: string;
  /** Undefined for a group. */
  readonly header: string | undefined;
  /** Of the value, bytes. */
  readonly size: number;
  /** Undefined if it is too large to be sent along. */
  readonly value: Buffer | undefined;
}

type PartReply = Buffer | readonly [words: Buffer, ...values: (Buffer | null)[]];

/** For items without values. */
export const NO_BYTES = -1;
/** Items that one call reads, so that it does not hold up others: about a millisecond. */
const ITEMS_AT_ONCE = 256;
/** The byte between words of a reply. */
const BETWEEN = '\xff';
const WORDS_OF_ITEM = 3;
const FIRST_ITEM = 2;
const NOT_ASCII = /[\x80-\xff]/;

/** Reads up to `limit` items of each partition. */
export async function readParts(
  store: RedisStore,
  starts: readonly PartStart[],
  query: PartQuery,
  limit: number,
): Promise<Part[]> {
  const replies = await readEach(store, starts, query, limit, false);
  return replies.map((reply, i) => decodePart(starts[i]!.partition, limit, reply));
}

/** Reads the first `limit` names of each partition, be they of entries that have expired. */
export async function readHeads(
  store: RedisStore,
  partitions: readonly Partition[],
  query: IndexQuery,
  limit: number,
): Promise<Head[]> {
  const starts = partitions.map((partition) => ({ partition }));
  const replies = await readEach(
    store,
    starts,
    { ...query, valueBytes: NO_BYTES, maxValue: NO_BYTES },
    limit,
    true,
  );
  return replies.map((reply, i) => {
    const [tag, , ...names] = wordsOf(reply as Buffer);
    return { partition: partitions[i]!, tag: tag!, names };
  });
}

async function readEach(
  store: RedisStore,
  starts: readonly PartStart[],
  query: PartQuery,
  limit: number,
  namesOnly: boolean,
): Promise<PartReply[]> {
  if (starts.length === 0) return [];
  const { reverse, prefix, delimiter, valueBytes, maxValue } = query;
  const hasAfter = starts.some(({ after }) => after !== undefined);
  const shared = [
    ...indexBounds(query),
    reverse ? '1' : '0',
    prefix,
    delimiter,
    String(limit),
    namesOnly ? '1' : '0',
    String(valueBytes),
    String(maxValue),
    hasAfter ? '2' : '1',
  ];
  const reads = starts.map(({ partition, after = '' }) => ({ partition, args: hasAfter ? [after] : [] }));
  const most = Math.max(1, Math.floor(ITEMS_AT_ONCE / limit));
  return (await readPartitions(store, PAGE, shared, reads, most)) as PartReply[];
}

function decodePart(partition: Partition, limit: number, reply: PartReply): Part {
  const [text, ...values] = Buffer.isBuffer(reply) ? [reply] : (reply as Exclude<PartReply, Buffer>);
  const words = wordsOf(text);
  const items: Item[] = [];
  for (let at = FIRST_ITEM; at < words.length; at += WORDS_OF_ITEM) {
    const header = words[at + 2]!;
    items.push({
      name: textOf(words[at]!),
      header: header === '' ? undefined : textOf(header),
      size: Number(words[at + 1]),
      value: values[items.length] ?? undefined,
    });
  }
  return { partition, limit, tag: words[0]!, end: words[1] === '' ? undefined : textOf(words[1]!), items };
}

function wordsOf(reply: Buffer): string[] {
  return reply.toString('latin1').split(BETWEEN);
}

/** The text whose bytes in UTF-8 are the characters of `bytes`. */
export function textOf(bytes: string): string {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString() : bytes;
}

/** The first items of all parts, in order and each once, and the parts that end before them. */
export function merge(
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
export function lowest(keys: readonly (string | undefined)[]): string | undefined {
  const [first] = keys.filter((key) => key !== undefined).sort(compareKeys);
  return first;
}

export function itemsUpTo(items: readonly Item[], bound: string | undefined): readonly Item[] {
  if (bound === undefined) return items;
  const past = items.findIndex(({ name }) => compareKeys(name, bound) > 0);
  return past < 0 ? items : items.slice(0, past);
}
