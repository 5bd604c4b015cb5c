import type { EntryHeader } from '../entry.js';
import { compareKeys } from '../key-range.js';
import type { Partition } from './partitions.js';
import { decodeHeader } from './record.js';

/*
 * Parts of a range, each of one partition, and how they become one.
 */

/** Where the reading of a partition begins, and how many items it may return. */
export interface PartStart {
  readonly partition: Partition;
  /** Undefined at the start of the query. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** The items that were read from one partition, in order. */
export interface Part extends PartState {
  readonly items: readonly Item[];
  /** The last key that was read; undefined if the partition has no more. */
  readonly end: string | undefined;
  readonly limit: number;
}

/** The last tag of a partition when it was read. */
export interface PartState {
  readonly partition: Partition;
  readonly tag: Buffer;
}

/** An entry, or a group, which has no header. */
export interface Item {
  readonly name: string;
  readonly header?: EntryHeader;
  /** Undefined if it is too large to be sent along. */
  readonly value?: Buffer;
}

/** The tag alone where there was nothing. */
export type PartReply = Buffer | readonly [tag: Buffer, end: Buffer | null, items: readonly ItemReply[]];
type ItemReply = readonly [name: Buffer, header?: Buffer, size?: number, value?: Buffer];

export function decodePart(
  { partition, limit }: PartStart,
  after: string | undefined,
  reply: PartReply,
): Part {
  if (Buffer.isBuffer(reply)) return { partition, limit, tag: reply, end: undefined, items: [] };
  const [tag, end, items] = reply as Exclude<PartReply, Buffer>;
  const decoded = items.map(decodeItem);
  // The name of a group that `after` names skips the whole group.
  const shown = after === undefined ? decoded : decoded.filter(({ name }) => name !== after);
  return { partition, limit, tag, end: end?.toString(), items: shown };
}

function decodeItem([key, header, size, value]: ItemReply): Item {
  const name = key.toString();
  return header ? { name, header: decodeHeader(name, header, size!), value } : { name };
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
