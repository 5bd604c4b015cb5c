import type { Entry, EntryHeader } from '../entry.js';

/*
 * How an entry lies in Redis: a hash of its value, in the field `v` or, if it is large, in `b`, and its header. The header is the text
 * `<etag> <created> <modified> <expires> <type>`, with times in milliseconds since 1970; the scripts write it.
 */

export function decode(key: string, header: Buffer | string, value: Buffer): Entry {
  return { ...decodeHeader(key, header, value.length), value };
}

/** @param size of the value, bytes */
export function decodeHeader(key: string, header: Buffer | string, size: number): EntryHeader {
  const text = header.toString();
  const created = text.indexOf(' ') + 1;
  const modified = text.indexOf(' ', created) + 1;
  const expires = text.indexOf(' ', modified) + 1;
  const type = text.indexOf(' ', expires) + 1;
  return {
    key,
    type: text.slice(type),
    size,
    etag: text.slice(0, created - 1),
    created: Number(text.slice(created, modified - 1)),
    modified: Number(text.slice(modified, expires - 1)),
    expires: Number(text.slice(expires, type - 1)),
  };
}
