import type { Entry } from './entry.js';
import { compareKeys, groupOf } from './key-range.js';
import { copyOf } from './memory-records.js';
import type { RangePage, RangeQuery } from './storage-engine.js';

/** Returns the page of a range that `query` asks for. @param entries of the range, in its order */
export function pageOf(entries: readonly Entry[], query: RangeQuery): Omit<RangePage, 'position'> {
  const { prefix, after, limit, delimiter, reverse = false, values = false, maxBytes = Infinity } = query;
  const direction = reverse ? -1 : 1;
  const items: Entry[] = [];
  const groups: string[] = [];
  let last: string | undefined;
  let bytes = 0;
  for (const entry of entries) {
    const group = delimiter ? groupOf(entry.key, prefix, delimiter) : undefined;
    const name = group ?? entry.key;
    if (name === last) continue;
    if (after !== undefined && (name === after || compareKeys(entry.key, after) * direction <= 0)) continue;
    const full = items.length + groups.length === limit || bytes >= maxBytes;
    if (full && last !== undefined) return { items, groups, next: last };
    last = name;
    if (group !== undefined) {
      groups.push(group);
    } else {
      items.push(copyOf(entry, values));
      if (values) bytes += entry.size;
    }
  }
  return { items, groups, next: undefined };
}
