import { DatabaseError } from '../../errors.js';
import type { OutlineLevel } from '../../http/request/json-outline.js';
import { readJsonOrBlank } from '../../http/request/strict-json.js';
import { parseTimestamp } from '../../http/request/timestamp.js';
import type { Turns } from '../../http/request/turns.js';
import type { BatchOperation, Expiry } from '../../storage/operation.js';
import { checkValueSize } from '../value-size.js';
import { readString, readType, readValue, unknownMember, type Members } from '../entry-json.js';
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
/** Of more names than there are, one is unknown. */
const OUTLINE: readonly OutlineLevel[] = [{ bracket: '{', most: MEMBERS.size + 1 }];

/**
 * Reads a line of NDJSON: a put, the closing line, or nothing (an empty line). The members of a description that an
 * import cannot keep are allowed, so that the items of a page can be imported too.
 * @throws DatabaseError what is wrong with it, without its number
 */
export function* parseLine(line: Buffer, maxValueBytes: number): Turns<Put | Closing | undefined> {
  const root = yield* readJsonOrBlank(line, 'The line', OUTLINE);
  if (!root) return undefined;
  const { members } = root;
  if (!members) throw invalid('The line is not a JSON object.');
  if (members.has('end') && !members.has('key')) return yield* closing(members);
  const unknown = unknownMember(members, MEMBERS);
  if (unknown !== undefined) throw invalid(`An entry has no member ${JSON.stringify(unknown.slice(0, 64))}.`);
  const key = (yield* readString(members, 'key')).toString();
  checkKey(key);
  const value = yield* readValue(members);
  checkValueSize(value.length, maxValueBytes);
  const type = yield* readType(members, value);
  return { op: 'put', key, value, type, expiry: yield* expiryOf(members) };
}

function* expiryOf(members: Members): Turns<Expiry> {
  const expires = members.get('expires');
  if (!expires || expires.isNull) return 'never';
  const text = expires.isString ? (yield* readString(members, 'expires')).toString() : '';
  const at = parseTimestamp(text);
  if (at === undefined)
    throw invalid(
      '`expires` must be null, or a time with its offset such as 2030-01-31T12:00:00Z (RFC 3339).',
    );
  return { at };
}

function* closing(members: Members): Turns<Closing> {
  const isTrue = members.get('end')!.scalar === 'true';
  const count = Number(members.get('count')?.scalar ?? NaN);
  if (!isTrue || Number.isNaN(count) || !members.get('sha256')?.isString)
    throw invalid('A closing line must be {"end":true,"count":…,"sha256":"…"}, as an export gives it.');
  return { end: true, count, sha256: (yield* readString(members, 'sha256')).toString() };
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
