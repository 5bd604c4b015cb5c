import type { IncomingHttpHeaders } from 'node:http';
import { DatabaseError } from '../../errors.js';
import type { Entry } from '../../storage/entry.js';

/** Positions in a value, both inclusive. */
interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** One range of a list that may have empty elements (RFC 9110, 5.6.1): from and to, or the length of the end. */
const ONE_RANGE = /^bytes=(?:[ \t]*,)*[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))(?:[ \t]*,)*[ \t]*$/i;

/**
 * Returns the part of the value that a request asks for (RFC 9110, section 14); undefined for the whole value: without
 * Range, with a malformed one or several, or if If-Range does not hold.
 * @throws DatabaseError `range-not-satisfiable`
 */
export function rangeOf(headers: IncomingHttpHeaders, entry: Entry): ByteRange | undefined {
  if (headers.range === undefined) return undefined;
  const match = ONE_RANGE.exec(headers.range);
  if (!match || !ifRangeHolds(headers['if-range'], entry)) return undefined;
  const [, from, to, suffix] = match;
  const end = entry.size - 1;
  if (suffix !== undefined) {
    // The end of an empty value is all of it, which no Content-Range can say (14.1.2).
    if (entry.size === 0 && Number(suffix) !== 0) return undefined;
    return satisfiable(Math.max(0, entry.size - Number(suffix)), end, entry);
  }
  if (to !== '' && isLess(to!, from!)) return undefined;
  return satisfiable(Number(from), to === '' ? end : Math.min(Number(to), end), entry);
}

/** Compares whole numbers, which may be greater than a `number` can tell apart. */
function isLess(one: string, other: string): boolean {
  const length = Math.max(one.length, other.length);
  return one.padStart(length, '0') < other.padStart(length, '0');
}

function satisfiable(first: number, last: number, entry: Entry): ByteRange {
  if (first <= last) return { first, last };
  throw new DatabaseError(
    'range-not-satisfiable',
    `The range holds none of the ${entry.size} bytes of the value.`,
    {
      size: entry.size,
    },
  );
}

/**
 * Whether the tag is the current one. A date never holds: it has whole seconds, in which a value can change twice, and
 * the client would join parts of two values (RFC 9110, 13.1.5 with 8.8.2.2).
 */
function ifRangeHolds(validator: string | string[] | undefined, entry: Entry): boolean {
  return validator === undefined || validator === `"${entry.etag}"`;
}
