import { isUtf8 } from 'node:buffer';
import { boundsOf, type KeyRange } from '../key-range.js';

/** The keys of a query as bounds of ZRANGEBYLEX. */
export function indexBounds(
  query: KeyRange & { readonly after: string | undefined; readonly reverse: boolean },
): [low: string | Buffer, high: string | Buffer] {
  const { start, end } = boundsOf(query);
  const low = start ? bound('[', start) : '-';
  const high = end ? bound('(', end) : '+';
  if (query.after === undefined) return [low, high];
  // A place outside the range must not lead out of it.
  const after = Buffer.from(query.after);
  const excluded = `(${query.after}`;
  if (query.reverse) return [low, !end || after.compare(end) < 0 ? excluded : high];
  return [!start || after.compare(start) >= 0 ? excluded : low, high];
}

/** As text where that is the same, because bytes cost the client a write of their own. */
function bound(sign: string, bytes: Buffer): string | Buffer {
  return isUtf8(bytes) ? sign + bytes.toString() : Buffer.concat([Buffer.from(sign), bytes]);
}
