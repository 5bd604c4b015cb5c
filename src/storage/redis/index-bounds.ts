import { isUtf8 } from 'node:buffer';
import { boundsOf, groupOf, type KeyRange } from '../key-range.js';

/** Keys of an index, as a page or a scan wants them. */
export interface IndexQuery extends KeyRange {
  /** Only what follows this key or group. */
  readonly after?: string | undefined;
  /** The last key or group of the range that is wanted. */
  readonly last?: string | undefined;
  readonly reverse: boolean;
  readonly delimiter: string;
}

/** No byte of UTF-8 is 255, so it sorts after all keys that begin with what precedes it. */
const LAST_BYTE = Buffer.of(255);

/** The keys of a query as bounds of ZRANGEBYLEX. */
export function indexBounds(query: IndexQuery): [low: string | Buffer, high: string | Buffer] {
  const { start, end } = boundsOf(query);
  const { after, last, reverse } = query;
  let low = start ? bound('[', start) : '-';
  let high = end ? bound('(', end) : '+';
  if (after !== undefined) {
    const place = reverse ? Buffer.from(after) : endOf(after, query);
    // A place outside the range must not lead out of it.
    if (reverse) high = !end || place.compare(end) < 0 ? bound('(', place) : high;
    else low = !start || place.compare(start) >= 0 ? bound('(', place) : low;
  }
  if (last !== undefined) {
    if (reverse) low = `[${last}`;
    else high = bound('[', endOf(last, query));
  }
  return [low, high];
}

/** The place of a key, or after all keys of a group. */
function endOf(name: string, { prefix, delimiter }: IndexQuery): Buffer {
  const bytes = Buffer.from(name);
  const isGroup = delimiter !== '' && groupOf(name, prefix, delimiter) === name;
  return isGroup ? Buffer.concat([bytes, LAST_BYTE]) : bytes;
}

/** As text where that is the same, because bytes cost the client a write of their own. */
function bound(sign: string, bytes: Buffer): string | Buffer {
  return isUtf8(bytes) ? sign + bytes.toString() : Buffer.concat([Buffer.from(sign), bytes]);
}
