import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerEmpty, answerJson, answerValue, answerValueHead, vary } from '../../http/answer/answer.js';
import { conditionOf } from '../../http/request/preconditions.js';
import { evaluate } from '../../storage/condition.js';
import type { Entry, EntryHeader } from '../../storage/entry.js';
import type { Written } from '../written.js';
import { describe, httpDate, timestamp } from '../entry-json.js';
import { pathOf } from '../key.js';
import { rangeOf } from './byte-range.js';

/** Parts up to here are copied. */
const COPIED_BYTES = 256 * 1024;

/**
 * Answers a read of a stored entry: its conditions, then its range, in the order of RFC 9110, 13.2.2.
 * @param headers of the answer beside those of every entry
 */
export function answerEntry(
  request: IncomingMessage,
  response: ServerResponse,
  entry: Entry,
  headers = vary(response),
): void | Promise<void> {
  if (request.method === 'HEAD') return answerHead(request, response, entry, headers);
  const about = headersUnlessKnown(request, response, entry, headers);
  if (!about) return;
  const range = rangeOf(request.headers, entry);
  about.push('Content-Type', entry.type, 'Accept-Ranges', 'bytes');
  if (!range) return answerValue(response, 200, entry.value, about);
  about.push('Content-Range', `bytes ${range.first}-${range.last}/${entry.size}`);
  const part = entry.value.subarray(range.first, range.last + 1);
  // A view of a few bytes would keep the whole value in memory until they are sent.
  return answerValue(response, 206, part.length <= COPIED_BYTES ? Buffer.from(part) : part, about);
}

/** Answers HEAD as `answerEntry` answers GET; Range is for GET alone (RFC 9110, 14.2). */
export function answerHead(
  request: IncomingMessage,
  response: ServerResponse,
  entry: EntryHeader,
  headers = vary(response),
): void {
  const about = headersUnlessKnown(request, response, entry, headers);
  if (!about) return;
  about.push('Content-Type', entry.type, 'Accept-Ranges', 'bytes');
  answerValueHead(response, entry.size, about);
}

/** Returns the headers of a stored entry, or undefined after it has answered 304. @throws DatabaseError `precondition-failed` */
function headersUnlessKnown(
  request: IncomingMessage,
  response: ServerResponse,
  entry: EntryHeader,
  headers: readonly string[],
): string[] | undefined {
  const condition = conditionOf(request);
  const verdict = condition ? evaluate(condition, entry) : 'holds';
  if (verdict === 'failed') {
    const detail = `The condition does not hold for the key \`${entry.key}\`: its tag is "${entry.etag}".`;
    throw new DatabaseError('precondition-failed', detail, { etag: entry.etag });
  }
  const about = [...headersOf(entry), ...headers];
  if (verdict !== 'known') return about;
  answerEmpty(response, 304, about);
  return undefined;
}

/** Answers a write with the description of the entry. `base` precedes the path in Location (PUBLIC_URL). */
export function answerDescription(response: ServerResponse, written: Written, base: string): void {
  answerJson(
    response,
    written.created ? 201 : 200,
    `${describe(written.entry)}\n`,
    headersOfWrite(written, base),
  );
}

/** Answers a write with the new value. */
export function answerNewValue(
  response: ServerResponse,
  written: Written,
  base: string,
): void | Promise<void> {
  const { created, entry } = written;
  const headers = [...headersOfWrite(written, base), 'Content-Type', entry.type];
  return answerValue(response, created ? 201 : 200, entry.value, headers);
}

function headersOf(entry: EntryHeader): string[] {
  const headers = ['ETag', `"${entry.etag}"`, 'Last-Modified', httpDate(entry.modified)];
  if (entry.expires !== 0) headers.push('KV-Expires', timestamp(entry.expires));
  return headers;
}

function headersOfWrite({ created, entry }: Written, base: string): string[] {
  const headers = headersOf(entry);
  if (created) headers.push('Location', base + pathOf(entry.key));
  return headers;
}
