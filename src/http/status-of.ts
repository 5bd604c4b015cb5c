import type { ErrorCode } from '../errors.js';

/** The HTTP status of every code, on all routes but the original ones, where a missing key is 400. */
export const STATUS_OF: Record<ErrorCode, number> = {
  'missing-query': 400,
  'invalid-query': 400,
  'missing-key': 404,
  'key-too-long': 400,
  'value-too-large': 413,
  'route-not-found': 404,
  'method-not-allowed': 405,
  'malformed-request': 400,
  'headers-too-large': 431,
  'request-timeout': 408,
  'expectation-failed': 417,
  'unsupported-encoding': 415,
  'cross-site': 403,
  'misdirected-host': 421,
  'precondition-failed': 412,
  'not-an-integer': 409,
  'integer-overflow': 409,
  'cross-slot': 422,
  'not-supported': 501,
  busy: 503,
  stopping: 503,
  unavailable: 503,
  'outcome-unknown': 504,
  'disk-full': 507,
  corrupt: 500,
  internal: 500,
};

/** Headers that belong to a status whatever the route: 503 always means that nothing was applied, so repeat it. */
export const HEADERS_OF: Partial<Record<number, readonly string[]>> = {
  415: ['Accept-Encoding', 'identity'],
  503: ['Retry-After', '1'],
};
