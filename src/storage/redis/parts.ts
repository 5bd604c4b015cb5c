import { compareKeys } from '../key-range.js';
import type { Partition } from './partitions.js';

/*
 * Parts of a range, each of one partition, and how they become one.
 */

/** Where the reading of a partition begins, and how many items it may return. */
export interface PartStart {
  readonly partition: Partition;
  /** Undefined at the start of the query. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** Whether names are enough, where headers need not be read to know what has expired. */
  readonly names: boolean;
}

/** The items that were read from one partition, in order. */
export interface Part extends PartState {
  readonly items: readonly Item[];
  /** The last key that was read; undefined if the partition has no more. */
  readonly end: string | undefined;
  readonly limit: number;
  readonly names: boolean;
}

/** The last tag of a partition when it was read. */
export interface PartState {
  readonly partition: Partition;
  readonly tag: Buffer;
}

/** An entry, or a group. */
export interface Item {
  readonly name: string;
  readonly isGroup: boolean;
  /** Undefined for a group, and if only the name was read. */
  readonly header: Buffer | undefined;
  /** Of the value, bytes. */
  readonly size: number;
  /** Undefined if it is too large to be sent along. */
  readonly value: Buffer | undefined;
}

/** The tag alone where there was nothing. */
export type PartReply = Buffer | readonly [tag: Buffer, end: Buffer | null, items: readonly ItemReply[]];
/** The name alone of an entry whose header was not read; of a group in a list. */
type ItemReply = Buffer | readonly [name: Buffer, header?: Buffer | null, size?: number, value?: Buffer];

export function decodePart(
  { partition, limit, names }: PartStart,
  after: string | undefined,
  reply: PartReply,
): Part {
  if (Buffer.isBuffer(reply)) return { partition, limit, names, tag: reply, end: undefined, items: [] };
  const [tag, end, items] = reply as Exclude<PartReply, Buffer>;
  const decoded = items.map(decodeItem);
  // The name of a group that `after` names skips the whole group.
  const shown = after === undefined ? decoded : decoded.filter(({ name }) => name !== after);
  return { partition, limit, names, tag, end: end?.toString(), items: shown };
}

function decodeItem(reply: ItemReply): Item {
  if (Buffer.isBuffer(reply))
    return { name: reply.toString(), isGroup: false, header: undefined, size: 0, value: undefined };
  const [name, header, size = 0, value] = reply as Exclude<ItemReply, Buffer>;
  return { name: name.toString(), isGroup: header === undefined, header: header ?? undefined, size, value };
}

/** How many of the first items of a part, up to the name `last`, lack a header or are before one that does. */
export function countBare({ items }: Part, last: string | undefined, reverse: boolean): number {
  const direction = reverse ? -1 : 1;
  return (
    items.findLastIndex(
      ({ name, isGroup, header }) =>
        !isGroup && !header && (last === undefined || compareKeys(name, last) * direction <= 0),
    ) + 1
  );
}

/** A part of which names were read, with the headers that were read later; the later part alone if it has changed since. */
export function withHeaders(names: Part, later: Part): Part {
  const isSame =
    names.tag.equals(later.tag) && later.items.every(({ name }, i) => name === names.items[i]?.name);
  if (!isSame || later.items.length < later.limit) return later;
  return { ...names, items: [...later.items, ...names.items.slice(later.items.length)] };
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
