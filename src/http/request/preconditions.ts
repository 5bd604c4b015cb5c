import type { IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import type { Condition } from '../../storage/condition.js';
import { parseHttpDate } from './http-date.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Returns the conditions of a request (RFC 9110, section 13.1); undefined if it has none.
 * @throws DatabaseError `invalid-condition` for tags that are malformed
 */
export function conditionOf(request: IncomingMessage): Condition | undefined {
  const { headers } = request;
  const condition: Mutable<Condition> = {};
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (ifMatch !== undefined) condition.ifMatch = tagsIn('If-Match', ifMatch, matchTags);
  if (ifNoneMatch !== undefined) condition.ifNoneMatch = tagsIn('If-None-Match', ifNoneMatch, noneMatchTags);
  condition.ifUnmodifiedSince = dateOf(request, 'if-unmodified-since');
  condition.ifModifiedSince = dateOf(request, 'if-modified-since');
  return Object.values(condition).some((value) => value !== undefined) ? condition : undefined;
}

/** Returns the conditions of a write, for which If-Modified-Since means nothing (RFC 9110, 13.1.3). */
export function writeConditionOf(request: IncomingMessage): Condition | undefined {
  const condition = conditionOf(request);
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

/** Returns the tags of If-Match without their quotes, of which weak ones never match; undefined if they are malformed. */
export function matchTags(text: string): '*' | string[] | undefined {
  return parseTags(text, false);
}

/** Returns the tags of If-None-Match, which compares weakly (RFC 9110, 8.8.3.2); undefined if they are malformed. */
export function noneMatchTags(text: string): '*' | string[] | undefined {
  return parseTags(text, true);
}

function parseTags(text: string, weakly: boolean): '*' | string[] | undefined {
  if (text.trim() === '*') return '*';
  const tags: string[] = [];
  if (text.trim() === '') return undefined;
  TAG.lastIndex = 0;
  while (TAG.lastIndex < text.length) {
    const match = TAG.exec(text);
    if (!match) return undefined;
    if (weakly || match[1] === undefined) tags.push(match[2]!);
  }
  return tags;
}

/**
 * Returns a sentence for a client whose If-Match has the present tag as proxies change it that compress answers: made weak
 * (nginx), or with a suffix (`-gzip` of Apache, `--gzip` of Jetty). Undefined if it has not.
 */
export function changedTag({ headers }: IncomingMessage, etag: string): string | undefined {
  const ifMatch = headers['if-match'] ?? '';
  if (!new RegExp(`W/"${etag}"|"${etag}(?:--?|;)(?:gzip|br|zstd|deflate)"`).test(ifMatch)) return undefined;
  if (matchTags(ifMatch)?.includes(etag)) return undefined;
  return (
    `What was sent is this tag as a proxy changes it that compresses answers. Send "${etag}", ` +
    'or keep the proxy from compressing.'
  );
}

/** @throws DatabaseError `invalid-condition` */
function tagsIn(name: string, text: string, parse: typeof matchTags): '*' | string[] {
  const tags = parse(text);
  if (tags !== undefined) return tags;
  throw new DatabaseError(
    'invalid-condition',
    `${name} takes \`*\` or tags in double quotes, as ETag gives them: ${name}: "…".`,
  );
}

/** Returns the milliseconds of a date; undefined without one. What is no date, or several, is ignored (RFC 9110, 13.1.3). */
function dateOf(
  request: IncomingMessage,
  name: 'if-modified-since' | 'if-unmodified-since',
): number | undefined {
  const text = request.headers[name];
  // Of several, Node keeps the first in `headers`.
  if (text === undefined || request.headersDistinct[name]!.length > 1) return undefined;
  return parseHttpDate(text, Date.now());
}
