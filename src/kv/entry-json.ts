import { isUtf8 } from 'node:buffer';
import type { EntryHeader } from '../storage/entry.js';

/** The description of an entry as JSON text without its braces, so that a value may follow. */
export function describeMembers({ key, etag, type, size, created, modified, expires }: EntryHeader): string {
  return (
    `"key":${JSON.stringify(key)},"etag":"${etag}","type":${typeJson(type)},"size":${size},` +
    `"created":"${timestamp(created)}","modified":"${timestamp(modified)}","expires":${expiresJson(expires)}`
  );
}

export function describe(entry: EntryHeader): string {
  return `{${describeMembers(entry)}}`;
}

/** A value inside JSON, `"value":"…"` if its bytes are text and `"base64":"…"` if not: never inlined, so no byte is lost. */
export function valueMember(value: Buffer): string {
  return isUtf8(value)
    ? `"value":${JSON.stringify(value.toString())}`
    : `"base64":"${value.toString('base64')}"`;
}

export function expiresJson(expires: number): string {
  return expires === 0 ? 'null' : `"${timestamp(expires)}"`;
}

/** A media type as a JSON string. */
export const typeJson = rememberLast((type: string) => JSON.stringify(type));

/** RFC 3339 with milliseconds. */
export const timestamp = rememberLast((time: number) => new Date(time).toISOString());

/** A date as HTTP headers have it. */
export const httpDate = rememberLast((time: number) => new Date(time).toUTCString());

/** `make` with its last answer at hand: entries that are told of together have mostly one type and, written together, one time. */
function rememberLast<T extends string | number>(make: (of: T) => string): (of: T) => string {
  let last: T | undefined;
  let text = '';
  return (of) => {
    if (of !== last) {
      text = make(of);
      last = of;
    }
    return text;
  };
}
