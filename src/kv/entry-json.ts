import { isUtf8 } from 'node:buffer';
import { DatabaseError } from '../errors.js';
import { checkMediaType, isJson, storedType } from '../http/request/media-type.js';
import type { JsonNode } from '../http/request/json-outline.js';
import type { MemberMap } from '../http/request/many-members.js';
import { decodeString } from '../http/request/json-text.js';
import { readJson } from '../http/request/strict-json.js';
import type { Turns } from '../http/request/turns.js';
import { TEXT, type EntryHeader } from '../storage/entry.js';

/** Characters of base64 that are decoded at once, a multiple of 4. */
const BASE64_AT_ONCE = 64 * 1024;

/** Returns the description of an entry as JSON text without its braces, so that a value may follow. */
export function describeMembers({ key, etag, type, size, created, modified, expires }: EntryHeader): string {
  return (
    `"key":${JSON.stringify(key)},"etag":"${etag}","type":${typeJson(type)},"size":${size},` +
    `"created":"${timestamp(created)}","modified":"${timestamp(modified)}","expires":${expiresJson(expires)}`
  );
}

export function describe(entry: EntryHeader): string {
  return `{${describeMembers(entry)}}`;
}

/** Returns a value inside JSON: `"value":"…"` if its bytes are text, else `"base64":"…"`. It is never inlined, so no byte is lost. */
export function valueMember(value: Buffer): string {
  return isUtf8(value) ? `"value":${JSON.stringify(value.toString())}` : base64Member(value);
}

export function base64Member(value: Buffer): string {
  return `"base64":"${value.toString('base64')}"`;
}

/**
 * A value of more bytes becomes JSON in pieces: one of 16 MiB would take a tenth of a second at once. Pieces of a multiple of
 * 3 bytes have no padding in base64.
 */
export const PIECE_BYTES = 192 * 1024;

/** Yields `valueMember(value)` in pieces. */
export function* valueMemberPieces(value: Buffer): Generator<string> {
  if (!isUtf8(value)) return yield* base64MemberPieces(value);
  yield '"value":"';
  yield* jsonPieces(value);
  yield '"';
}

/** Yields `base64Member(value)` in pieces. */
export function* base64MemberPieces(value: Buffer): Generator<string> {
  yield '"base64":"';
  yield* base64Pieces(value);
  yield '"';
}

/** Yields what stands between the quotes of a text as a JSON string. */
export function* jsonPieces(text: Buffer): Generator<string> {
  for (const piece of textPieces(text)) yield JSON.stringify(piece).slice(1, -1);
}

/** Yields a text of UTF-8, cut between characters. */
export function* textPieces(text: Buffer): Generator<string> {
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = Math.min(start + PIECE_BYTES, text.length);
    // A character has up to three bytes after its first.
    for (let i = 0; i < 3 && (text[end]! & 0xc0) === 0x80; i++) end--;
    yield text.toString('utf8', start, end);
  }
}

export function* base64Pieces(value: Buffer): Generator<string> {
  for (let start = 0; start < value.length; start += PIECE_BYTES)
    yield value.toString('base64', start, start + PIECE_BYTES);
}

export function expiresJson(expires: number): string {
  return expires === 0 ? 'null' : `"${timestamp(expires)}"`;
}

/** Returns a media type as a JSON string. */
export const typeJson = cacheLast((type: string) => JSON.stringify(type));

/** Returns a time as RFC 3339 with milliseconds. */
export const timestamp = cacheLast((time: number) => new Date(time).toISOString());

/** Returns a time as HTTP headers have it (RFC 9110, 5.6.7). */
export const httpDate = cacheLast((time: number) => new Date(time).toUTCString());

/** Caches the last result of `make`: neighbouring entries mostly have the same type and, written together, the same time. */
function cacheLast<T extends string | number>(make: (of: T) => string): (of: T) => string {
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

/** The members of a line of an import or of an operation of a batch. */
export type Members = MemberMap<JsonNode>;

/** Returns the name of a member that is not in `names`. */
export function unknownMember(members: Members, names: ReadonlySet<string>): string | undefined {
  for (const name of members.keys()) if (!names.has(name)) return name;
  return undefined;
}

/** Returns the UTF-8 of a member. @throws DatabaseError `invalid-parameter` unless it is a string, and text */
export function* readString(members: Members, name: string): Turns<Buffer> {
  const node = members.get(name);
  if (!node?.isString) throw invalid(`\`${name}\` must be a string.`);
  const text = yield* decodeString(node);
  if (!text) throw invalid(`\`${name}\` has half a surrogate pair, which is no text.`);
  return text;
}

/** Returns the bytes of `value` or `base64`, of which there is exactly one. @throws DatabaseError `invalid-parameter`, … */
export function* readValue(members: Members): Turns<Buffer> {
  const hasValue = members.has('value');
  if (hasValue === members.has('base64'))
    throw invalid(
      hasValue ? 'It takes either `value` or `base64`, not both.' : 'It needs `value` or `base64`.',
    );
  return hasValue ? yield* readString(members, 'value') : yield* readBase64(members);
}

function* readBase64(members: Members): Turns<Buffer> {
  const base64 = yield* readString(members, 'base64');
  const bytes = Buffer.allocUnsafe(Math.ceil(base64.length / 4) * 3);
  let length = 0;
  for (let at = 0; at < base64.length; at += BASE64_AT_ONCE) {
    if (at > 0) yield;
    const piece = base64.toString('latin1', at, at + BASE64_AT_ONCE);
    const decoded = Buffer.from(piece, 'base64');
    // Node skips what is no base64, and takes padding in the middle.
    const isInside = at + BASE64_AT_ONCE < base64.length;
    if (decoded.toString('base64') !== piece || (isInside && piece.endsWith('=')))
      throw invalid('`base64` must be base64 of the standard alphabet, with its padding.');
    length += decoded.copy(bytes, length);
  }
  return bytes.subarray(0, length);
}

/** Returns the type to store with a value inside JSON. @throws DatabaseError `invalid-type`, `invalid-json`, … */
export function* readType(members: Members, value: Buffer): Turns<string> {
  if (!members.has('type')) return members.has('base64') ? storedType(undefined, value) : TEXT;
  const type = (yield* readString(members, 'type')).toString();
  if (type === TEXT) return TEXT;
  checkMediaType(type);
  if (isJson(type)) yield* readJson(value, 'The value');
  return type;
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
