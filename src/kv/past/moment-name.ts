import type { IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { parseHttpDate } from '../../http/request/http-date.js';
import { parseTimestamp } from '../../http/request/timestamp.js';
import type { Moment, MomentName, Past } from '../../storage/past.js';

/** Tags, and positions of engines that have others. */
const TAG = /^[0-9A-Za-z_-]{1,2048}$/;

/** Finds the moment that a parameter names: a tag, without quotes, or a time. @throws DatabaseError `invalid-parameter` */
export async function momentIn(past: Past, name: string, text: string): Promise<Moment> {
  const time = parseTimestamp(text);
  const found: MomentName = time === undefined ? { tag: text } : { time };
  const moment = time !== undefined || TAG.test(text) ? await past.find(found) : undefined;
  if (moment) return moment;
  throw new DatabaseError('invalid-parameter', `\`${name}\` must be a tag or a time. ${hintFor(text)}`);
}

/** Checks that a text has the form of a tag. @throws DatabaseError `invalid-parameter` */
export function notATag(name: string, text: string): DatabaseError {
  return new DatabaseError('invalid-parameter', `\`${name}\` must be a tag. ${hintFor(text)}`);
}

function hintFor(text: string): string {
  if (/^(?:W\/)?".*"$/.test(text)) return 'In a URL a tag stands without its quotes.';
  if (/ \d\d:\d\d$/.test(text)) return 'In a URL the plus of an offset is `%2B`.';
  return 'A tag is what `ETag` and `KV-Revision` have; a time is like 2030-01-31T12:00:00Z, with its offset.';
}

/** Returns the time of Accept-Datetime (RFC 7089, 2.1.1); undefined without one. @throws DatabaseError `malformed-request` */
export function acceptDatetimeOf({ headers }: IncomingMessage): number | undefined {
  const text = headers['accept-datetime'];
  if (text === undefined) return undefined;
  const time = parseHttpDate(String(text), Date.now());
  if (time !== undefined) return time;
  const detail = 'Accept-Datetime must be one HTTP date that exists, like Thu, 31 Jan 2030 12:00:00 GMT.';
  throw new DatabaseError('malformed-request', detail);
}
