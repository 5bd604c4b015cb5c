import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import type { Condition } from '../../storage/condition.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Returns the conditions of a request (RFC 9110, section 13.1); undefined if it has none.
 * @throws DatabaseError `invalid-condition` for tags that are malformed
 */
export function conditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const condition: Mutable<Condition> = {};
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  // Weak tags never match If-Match; If-None-Match compares weakly (RFC 9110, 8.8.3.2).
  if (ifMatch !== undefined) condition.ifMatch = parseTags('If-Match', ifMatch, false);
  if (ifNoneMatch !== undefined) condition.ifNoneMatch = parseTags('If-None-Match', ifNoneMatch, true);
  condition.ifUnmodifiedSince = parseDate(headers['if-unmodified-since']);
  condition.ifModifiedSince = parseDate(headers['if-modified-since']);
  return Object.values(condition).some((value) => value !== undefined) ? condition : undefined;
}

/** Returns the conditions of a write, for which If-Modified-Since means nothing (RFC 9110, 13.1.3). */
export function writeConditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const condition = conditionOf(headers);
  if (condition?.ifModifiedSince === undefined) return condition;
  const { ifModifiedSince: _, ...rest } = condition;
  return rest;
}

const OF_WRITES = ['If-Match', 'If-None-Match', 'If-Unmodified-Since'];

/**
 * Refuses the conditions of a write that takes none: a client must not believe that its condition held.
 * @throws DatabaseError `invalid-condition` with the sentence `instead`, on what to do
 */
export function refuseConditions({ headers }: IncomingMessage, instead: string): void {
  const name = OF_WRITES.find((each) => headers[each.toLowerCase()] !== undefined);
  if (name !== undefined)
    throw new DatabaseError('invalid-condition', `${name} is not taken here. ${instead}`);
}

// A list may have empty elements (RFC 9110, 5.6.1).
const TAG = /[\s,]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,[\s,]*|$)/y;

/** Returns the tags of a list without their quotes; weak ones only if `weakly`. */
function parseTags(name: string, text: string, weakly: boolean): '*' | string[] {
  if (text.trim() === '*') return '*';
  const tags: string[] = [];
  if (text.trim() === '') throw malformed(name);
  TAG.lastIndex = 0;
  while (TAG.lastIndex < text.length) {
    const match = TAG.exec(text);
    if (!match) throw malformed(name);
    if (weakly || match[1] === undefined) tags.push(match[2]!);
  }
  return tags;
}

function malformed(name: string): DatabaseError {
  return new DatabaseError(
    'invalid-condition',
    `${name} takes \`*\` or tags in double quotes, as ETag gives them: ${name}: "…".`,
  );
}

/** Returns the milliseconds of an HTTP date; undefined without one, and for text that is none (RFC 9110, 13.1.3: ignore it). */
function parseDate(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Z][a-z]{2}/.test(text)) return undefined;
  // The form of asctime() names no zone, and is GMT too.
  const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(text);
  if (!asctime && !text.endsWith('GMT')) return undefined;
  const time = Date.parse(asctime ? `${text} GMT` : text);
  return Number.isNaN(time) ? undefined : time;
}
