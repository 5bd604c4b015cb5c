import type { DatabaseError, ErrorCode } from '../../errors.js';
import { MERGE_PATCH } from '../request/media-type.js';
import { overLimitFields } from './rate-limit.js';

/** The HTTP status of every code. */
export const STATUS_OF: Record<ErrorCode, number> = {
  'missing-query': 400,
  'invalid-query': 400,
  'invalid-parameter': 400,
  'invalid-key': 400,
  'invalid-type': 400,
  'invalid-json': 400,
  'invalid-condition': 400,
  'invalid-idempotency-key': 400,
  'invalid-batch': 400,
  'confirmation-needed': 400,
  truncated: 400,
  'history-gone': 410,
  'missing-key': 404,
  'route-not-found': 404,
  'method-not-allowed': 405,
  'malformed-request': 400,
  unauthenticated: 401,
  'invalid-token': 401,
  forbidden: 403,
  'unknown-token': 404,
  'last-admin': 409,
  'condition-required': 428,
  'too-many-requests': 429,
  'headers-too-large': 431,
  'request-timeout': 408,
  'unsupported-version': 505,
  'expectation-failed': 417,
  'value-too-large': 413,
  'body-too-large': 413,
  'unsupported-type': 415,
  'unsupported-encoding': 415,
  'range-not-satisfiable': 416,
  'cross-site': 403,
  'service-worker': 403,
  'misdirected-host': 421,
  'precondition-failed': 412,
  'not-an-integer': 409,
  'integer-overflow': 409,
  'not-json': 409,
  'cross-slot': 422,
  'idempotency-mismatch': 422,
  'not-supported': 501,
  busy: 503,
  stopping: 503,
  unavailable: 503,
  moved: 503,
  'outcome-unknown': 504,
  'disk-full': 507,
  corrupt: 500,
  internal: 500,
};

/** Statuses of the original routes that are others: there a key that is not in the database is a bad request. */
export const ORIGINAL_STATUS: Partial<Record<ErrorCode, number>> = { 'missing-key': 400 };

/** What PATCH takes, as a header. */
export const ACCEPT_PATCH: readonly string[] = ['Accept-Patch', MERGE_PATCH];

/** Returns the headers that belong to an error on every route. A 503 means that nothing was applied: repeat it. */
export function headersOf({ code, context }: DatabaseError, method: string | undefined): readonly string[] {
  if (code === 'unsupported-type' && method === 'PATCH') return ACCEPT_PATCH;
  if (code === 'unsupported-encoding') return ['Accept-Encoding', 'identity'];
  // The tag of one entry of a batch is not that of the answer.
  if (code === 'precondition-failed' && context.etag !== undefined && context.index === undefined)
    return ['ETag', `"${context.etag}"`];
  if (code === 'range-not-satisfiable') return ['Content-Range', `bytes */${context.size}`];
  if (code === 'too-many-requests') return overLimitFields(context);
  return STATUS_OF[code] === 503 ? ['Retry-After', '1'] : [];
}
