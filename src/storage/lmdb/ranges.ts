import type { RangeOptions } from 'lmdb';
import type { Entry } from '../entry.js';
import { groupOf, prefixEnd } from '../key-range.js';
import type { RangePage, RangeQuery } from '../storage-engine.js';
import { decode } from './record.js';
import type { Store } from './store.js';

/** Reads one page of a range as it is at `now`. The caller adds the position, which one snapshot makes true. */
export function readPage(store: Store, query: RangeQuery, now: number): Omit<RangePage, 'position'> {
  const { prefix, after, limit, delimiter, reverse = false, values = false, maxBytes = Infinity } = query;
  const items: Entry[] = [];
  const groups: string[] = [];
  let last: string | undefined;
  let bytes = 0;
  let from = after === undefined ? undefined : past(after, query);
  // A group ends one walk and the next begins behind it, so that its keys are never visited.
  for (let walking = true; walking;) {
    walking = false;
    for (const { key, value } of store.entries.getRange(walk(prefix, from, reverse))) {
      const entry = decode(key as string, value);
      if (entry.expires !== 0 && entry.expires <= now) continue;
      const full = items.length + groups.length === limit || bytes >= maxBytes;
      if (full && last !== undefined) return { items, groups, next: last };
      const group = delimiter ? groupOf(entry.key, prefix, delimiter) : undefined;
      last = group ?? entry.key;
      if (group !== undefined) {
        groups.push(group);
        from = past(group, query);
        walking = true;
        break;
      }
      items.push(entry);
      if (values) bytes += entry.size;
    }
  }
  return { items, groups, next: undefined };
}

/** Where a walk goes on behind `name`, which may be a key or a group. */
function past(name: string, { prefix, delimiter, reverse = false }: RangeQuery): string | Buffer {
  if (reverse) return name;
  const isGroup = delimiter !== undefined && groupOf(name, prefix, delimiter) === name;
  return isGroup ? prefixEnd(name)! : `${name}\0`;
}

function walk(prefix: string, from: string | Buffer | undefined, reverse: boolean): RangeOptions {
  const end = prefixEnd(prefix);
  // A position outside the prefix must not lead out of it.
  if (!reverse) {
    const inside = from !== undefined && Buffer.compare(bytesOf(from), bytesOf(prefix)) > 0;
    return { start: inside ? from : prefix || undefined, end };
  }
  const inside = from !== undefined && (!end || Buffer.compare(bytesOf(from), end) < 0);
  const start = inside ? from : end;
  return { start, end: prefix || undefined, reverse, exclusiveStart: true, inclusiveEnd: true };
}

function bytesOf(key: string | Buffer): Buffer {
  return typeof key === 'string' ? Buffer.from(key) : key;
}
