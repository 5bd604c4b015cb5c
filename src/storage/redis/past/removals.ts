import type { KeyRange } from '../../key-range.js';
import { indexBounds } from '../index-bounds.js';
import type { Partition } from '../partitions.js';
import { REMOVALS } from '../scripts.js';
import type { RedisStore } from '../store.js';

/*
 * The index of removals of a partition (scripts/removals.lua): which keys were deleted or expired, and by which change. A removal is the key of
 * the entry, a byte 0xFF, which is in no UTF-8, and the sequence as 13 hexadecimal digits.
 */

/** Lines that one call looks through, bytes: about two milliseconds. */
const READ_BYTES = 256 * 1024;
const AT_ONCE = '256';
const END = 0xff;

/** Brings the index up to the present. */
export async function catchUp(store: RedisStore, partition: Partition): Promise<void> {
  while ((await store.query(partition, REMOVALS, [String(READ_BYTES)])) === 0);
}

/** Yields the removals of a range that the index has, in pieces: those of each key side by side, oldest first. */
export async function* removalsIn(
  store: RedisStore,
  partition: Partition,
  range: KeyRange,
): AsyncIterable<readonly { readonly key: string; readonly sequence: number }[]> {
  const [start, high] = indexBounds({ ...range, reverse: false, delimiter: '' });
  for (let low = start; ;) {
    const limits = ['LIMIT', '0', AT_ONCE];
    const found = (await store.read(
      partition,
      'ZRANGEBYLEX',
      partition.removals,
      low,
      high,
      ...limits,
    )) as Buffer[];
    yield found.map((removal) => {
      const end = removal.lastIndexOf(END);
      return {
        key: removal.toString('utf8', 0, end),
        sequence: parseInt(removal.toString('latin1', end + 1), 16),
      };
    });
    if (found.length < Number(AT_ONCE)) return;
    low = Buffer.concat([Buffer.from('('), found.at(-1)!]);
  }
}
