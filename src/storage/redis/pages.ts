import type { RangeQuery } from '../storage-engine.js';
import {
  merge,
  NO_BYTES,
  readHeads,
  readParts,
  textOf,
  type Head,
  type Item,
  type Part,
  type PartQuery,
  type PartState,
} from './parts.js';
import type { Partition } from './partitions.js';
import type { RedisStore } from './store.js';

/*
 * The items of a page, merged from the indexes of the partitions.
 *
 * Keys are spread evenly, so a page asks every partition at once for a little more than its share. A partition whose part
 * ends before the page is full is read again from the start of the page, with four times the limit: all that a page shows
 * of a partition is of one instant, to which the page's position refers.
 *
 * Over many partitions a little more than a share is several times what the page shows. So the first names of each are
 * read first: the one that would be the page's last if they were all says which partitions have something on the page, and
 * up to where. Only those are read then, up to there. Where entries have expired or been deleted that may be too little;
 * then the page is read as if nothing were known.
 */

/** The items of a page, one more than its limit if it has a next one, and the partitions as it shows them. */
export interface FoundPage {
  readonly items: readonly Item[];
  readonly states: readonly PartState[];
}

/** What the first names of the partitions tell of a page. */
interface Outline {
  /** The partitions that may have something on the page. */
  readonly concerned: readonly Partition[];
  /** Those that have nothing on it, as they were. */
  readonly others: readonly PartState[];
  /** The page ends here at the latest, unless something has expired; undefined if nothing limits it. */
  readonly last: string | undefined;
}

const MAX_VALUE_BYTES = 64 * 1024;
const VALUE_BYTES_AT_ONCE = 4 * 2 ** 20;
/** A page that has to read so many times its items reads names first. */
const NAMES_FIRST = 2;

/** Reads the items of a page. */
export async function findPage(store: RedisStore, query: RangeQuery): Promise<FoundPage> {
  const { prefix, from, to, after, limit, delimiter = '', reverse = false, values = false } = query;
  const partitions = store.partitions.ofRange({ prefix, from, to });
  const limits = valueLimits(values, partitions.length);
  const partQuery = { prefix, from, to, after, reverse, delimiter, ...limits };
  const share = shareOf(limit + 1, partitions.length, 2);
  if (share * partitions.length > NAMES_FIRST * limit) {
    const first = shareOf(limit + 1, partitions.length, 1 / 2);
    const heads = await readHeads(store, partitions, partQuery, first);
    const { concerned, others, last } = outlineOf(heads, limit, reverse);
    const page = await readFrom(store, concerned, { ...partQuery, last }, 2 * share, limit);
    if (last === undefined || page.items.length > limit)
      return { ...page, states: [...page.states, ...others] };
  }
  return readFrom(store, partitions, partQuery, share, limit);
}

/** How many bytes of values are sent along. */
export function valueLimits(values: boolean, partitions: number): Pick<PartQuery, 'valueBytes' | 'maxValue'> {
  const maxValue = values ? MAX_VALUE_BYTES : NO_BYTES;
  return { maxValue, valueBytes: Math.max(maxValue, Math.ceil(VALUE_BYTES_AT_ONCE / partitions)) };
}

/** How many of `items` to read from each partition: the mean and some deviations, two if few shall be read again. */
function shareOf(items: number, partitions: number, deviations: number): number {
  const mean = items / partitions;
  return partitions === 1 ? items : Math.ceil(mean + deviations * Math.sqrt(mean));
}

function outlineOf(heads: readonly Head[], limit: number, reverse: boolean): Outline {
  const names = [...new Set(heads.flatMap((head) => head.names))].sort();
  if (reverse) names.reverse();
  const last = names[limit];
  const concerns = ([first]: readonly string[]) =>
    first !== undefined && (last === undefined || (reverse ? first >= last : first <= last));
  return {
    concerned: heads.filter((head) => concerns(head.names)).map(({ partition }) => partition),
    others: heads.filter((head) => !concerns(head.names)),
    last: last === undefined ? undefined : textOf(last),
  };
}

/** Reads partitions from the start of the page, until they have what it shows of them. */
async function readFrom(
  store: RedisStore,
  partitions: readonly Partition[],
  query: PartQuery,
  limit: number,
  pageLimit: number,
): Promise<FoundPage> {
  let parts: readonly Part[] = await readParts(
    store,
    partitions.map((partition) => ({ partition })),
    query,
    limit,
  );
  for (;;) {
    const { items, short } = merge(parts, query.reverse, pageLimit + 1);
    if (short.size === 0) return { items, states: parts };
    limit *= 4;
    const again = await readParts(store, [...short], query, limit);
    const read = new Map(again.map((part) => [part.partition, part]));
    parts = parts.map((part) => read.get(part.partition) ?? part);
  }
}
