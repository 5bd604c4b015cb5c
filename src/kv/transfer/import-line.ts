import { DatabaseError } from '../../errors.js';
import { parseJson } from '../../http/request/strict-json.js';
import type { BatchOperation, Expiry } from '../../storage/operation.js';
import { checkValueSize } from '../database.service.js';
import { unknownMember, readType, readValue } from '../entry-json.js';
import { checkKey } from '../key.js';

/** Whether an import replaces entries that exist, or leaves them. */
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
 * Reads a line of NDJSON: a put, the closing line, or nothing (an empty line). The members of a description that an
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
  const unknown = unknownMember(members, MEMBERS);
  if (unknown !== undefined) throw invalid(`An entry has no member ${JSON.stringify(unknown.slice(0, 64))}.`);
  const { key } = members;
  if (typeof key !== 'string') throw invalid('`key` must be a string.');
  checkKey(key);
  const value = readValue(members);
  checkValueSize(value.length, maxValueBytes);
  const type = readType(members, value);
  return { op: 'put', key, value, type, expiry: expiryOf(members['expires']) };
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
