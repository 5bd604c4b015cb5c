import { DatabaseError } from '../errors.js';
import { TEXT } from '../storage/entry.js';
import type { BatchOperation, Expiry } from '../storage/operation.js';
import { parseJson } from './json-value.js';
import { checkKey } from './key.js';
import { checkMediaType, essenceOf, storedType } from './media-type.js';
import { checkValueSize } from './value-size.js';

/** What an import does with keys that exist: replaces them, or leaves them. */
export type ImportMode = 'upsert' | 'create';

/** The closing line of an export. */
export interface Closing {
  readonly end: true;
  readonly count: number;
  readonly sha256: string;
}

export type Put = Extract<BatchOperation, { op: 'put' }>;

const MEMBERS = new Set(['key', 'type', 'expires', 'value', 'base64', 'etag', 'size', 'created', 'modified']);

/**
 * What a line of NDJSON asks for: a put, the end, or nothing (an empty line). The members of a description that an
 * import cannot keep are allowed, so that the items of a page can be imported too.
 * @throws DatabaseError what is wrong with it, without its number
 */
export function parseLine(line: Buffer, maxValueBytes: number): Put | Closing | undefined {
  if (isBlank(line)) return undefined;
  const parsed = parseJson(line, 'The line');
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid('The line is not a JSON object.');
  const members = parsed as Record<string, unknown>;
  if ('end' in members && !('key' in members)) return closing(members);
  const unknown = memberBeside(members, MEMBERS);
  if (unknown !== undefined) throw invalid(`An entry has no member ${JSON.stringify(unknown.slice(0, 64))}.`);
  const { key } = members;
  if (typeof key !== 'string') throw invalid('`key` must be a string.');
  checkKey(key);
  const value = valueOf(members, maxValueBytes);
  const type = typeOf(members, value);
  return { op: 'put', key, value, type, expiry: expiryOf(members['expires']) };
}

/** The first member that has none of the names. */
export function memberBeside(members: object, names: ReadonlySet<string>): string | undefined {
  for (const name in members) if (!names.has(name)) return name;
  return undefined;
}

/** The bytes of `value` or `base64`, of which there is exactly one. @throws DatabaseError `invalid-parameter`, … */
export function valueOf(members: Record<string, unknown>, maxValueBytes: number): Buffer {
  const { value, base64 } = members;
  if (value === undefined && base64 === undefined) throw invalid('It needs `value` or `base64`.');
  if (value !== undefined && base64 !== undefined)
    throw invalid('It takes either `value` or `base64`, not both.');
  const bytes = value === undefined ? decodeBase64(base64) : encodeText(value);
  checkValueSize(bytes.length, maxValueBytes);
  return bytes;
}

function encodeText(value: unknown): Buffer {
  if (typeof value !== 'string') throw invalid('`value` must be a string.');
  if (!value.isWellFormed()) throw invalid('`value` has half a surrogate pair, which is no text.');
  return Buffer.from(value);
}

function decodeBase64(base64: unknown): Buffer {
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
  // Node skips what is no base64; a regular expression would run out of stack on megabytes.
  if (bytes === undefined || bytes.toString('base64') !== base64)
    throw invalid('`base64` must be base64 of the standard alphabet, with its padding.');
  return bytes;
}

/** The stored type of a value inside JSON. @throws DatabaseError `invalid-type`, `invalid-json`, … */
export function typeOf({ type, base64 }: Record<string, unknown>, value: Buffer): string {
  if (type === TEXT || (type === undefined && base64 === undefined)) return TEXT;
  if (type === undefined) return storedType(undefined, value);
  if (typeof type !== 'string') throw invalid('`type` must be a string.');
  checkMediaType(type);
  if (essenceOf(type) === 'application/json') parseJson(value, 'The value');
  return type;
}

function expiryOf(expires: unknown): Expiry {
  if (expires === undefined || expires === null) return 'never';
  const at = typeof expires === 'string' && /^\d{4}-\d{2}-\d{2}T/.test(expires) ? Date.parse(expires) : NaN;
  if (Number.isNaN(at)) throw invalid('`expires` must be null or a time such as 2030-01-31T12:00:00.000Z.');
  return { at };
}

function closing({ end, count, sha256 }: Record<string, unknown>): Closing {
  if (end !== true || typeof count !== 'number' || typeof sha256 !== 'string')
    throw invalid('A closing line must be {"end":true,"count":…,"sha256":"…"}, as an export gives it.');
  return { end: true, count, sha256 };
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
