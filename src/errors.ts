/**
 * All errors of the database in one closed table: for each code a title and its meaning.
 *
 * Codes are stable, because clients switch on them; titles may change. This file knows nothing of HTTP:
 * `http/answer/error-status.ts` gives each code a status, and the compiler refuses a code without one.
 */
export const ERRORS = {
  'missing-query': ['Missing Query', 'The route needs a query and there is none.'],
  'invalid-query': [
    'Query Error',
    'The query is not of the form the route takes, or its escapes are malformed.',
  ],
  'invalid-parameter': ['Invalid Parameter', 'A parameter is unknown, repeated, empty or not of its form.'],
  'invalid-key': ['Invalid Key', 'A key is 1 to 1024 bytes of well-formed UTF-8.'],
  'invalid-type': ['Invalid Content-Type', 'The Content-Type is not one that can be stored and given back.'],
  'invalid-json': [
    'Invalid JSON',
    'What should be JSON is not: RFC 8259 in UTF-8 without BOM, 128 levels at most.',
  ],
  'invalid-condition': [
    'Invalid Condition',
    'A conditional header is malformed, or stands where none is taken; tags stand in double quotes.',
  ],
  'invalid-idempotency-key': [
    'Invalid Idempotency-Key',
    'The Idempotency-Key is malformed or repeated, or stands where none is taken.',
  ],
  'invalid-batch': ['Invalid Batch', 'The batch or one of its operations is malformed.'],
  'confirmation-needed': [
    'Confirmation Needed',
    'Deleting every key, or putting all back, has to be confirmed.',
  ],
  truncated: [
    'Truncated Import',
    'The import ends in the middle, or its closing line does not fit what came before.',
  ],
  'history-gone': [
    'History Gone',
    'The log of changes does not reach back so far, or does not keep the value, which has more than 64 KiB.',
  ],
  'missing-key': ['Key Error', 'The key is not in the database, or its time has run out.'],
  'route-not-found': ['Resource not found', 'There is no such URL.'],
  'method-not-allowed': [
    'Method Not Allowed',
    'The URL does not answer this method; Allow lists those it does.',
  ],
  'malformed-request': ['Malformed Request', 'What was sent is not a well-formed HTTP request.'],
  unauthenticated: ['Token Needed', 'The server asks for a token, and the request has none.'],
  'invalid-token': [
    'Invalid Token',
    'The token is not one of this server, or it has ended; or the credentials are malformed.',
  ],
  forbidden: ['Right Missing', 'The token has not the right that the request needs.'],
  'unknown-token': ['Unknown Token', 'There is no token with this id, or it is not yours to see.'],
  'last-admin': ['Last Admin Token', 'Without this token nobody could make or end tokens any more.'],
  'condition-required': [
    'Condition Required',
    'The token writes on a condition only: with If-Match or If-None-Match.',
  ],
  'too-many-requests': [
    'Too Many Requests',
    'More than the limit allows in a minute. Nothing was applied; wait as long as Retry-After says.',
  ],
  'headers-too-large': [
    'Headers Too Large',
    'URL and headers take more than 64 KiB, or there are more than 200.',
  ],
  'request-timeout': ['Request Timeout', 'The request did not arrive in time.'],
  'unsupported-version': [
    'HTTP Version Not Supported',
    'The request is of another version than HTTP/1.1 or HTTP/1.0.',
  ],
  'expectation-failed': ['Expectation Failed', 'The only expectation the server meets is 100-continue.'],
  'value-too-large': ['Value Too Large', 'The value is larger than the server takes.'],
  'body-too-large': ['Body Too Large', 'The body, or what it asks for, is larger than the limit.'],
  'unsupported-type': ['Unsupported Content-Type', 'The route does not take this Content-Type.'],
  'unsupported-encoding': ['Unsupported Encoding', 'Bodies are taken as they are, without Content-Encoding.'],
  'range-not-satisfiable': [
    'Range Not Satisfiable',
    'The value has no byte in the range that was asked for.',
  ],
  'cross-site': [
    'Cross-Site Request Refused',
    'Another site, or a prefetch, set off a request that would write.',
  ],
  'service-worker': ['Service Worker Refused', 'A stored value may not become a service worker.'],
  'misdirected-host': ['Unknown Host', 'The request names a host this server does not answer to.'],
  'precondition-failed': ['Precondition Failed', 'The condition of the request does not hold.'],
  'not-an-integer': ['Not An Integer', 'The value is not a 64-bit decimal integer.'],
  'integer-overflow': ['Integer Overflow', 'The sum would leave the range of 64-bit integers.'],
  'not-json': ['Not JSON', 'A merge patch applies to JSON values only, and this value is not.'],
  'cross-slot': [
    'Keys In Different Partitions',
    'An atomic batch in Redis needs keys that are all the same or share a `{tag}`.',
  ],
  'idempotency-mismatch': [
    'Idempotency-Key Reused',
    'The Idempotency-Key was given to another request before. Nothing was applied.',
  ],
  'not-supported': ['Not Supported By This Engine', 'The storage engine cannot do this.'],
  busy: ['Too Busy', 'Too much is under way. Nothing was applied; repeat the request.'],
  stopping: ['Shutting Down', 'The server is shutting down. Nothing was applied; repeat the request.'],
  unavailable: [
    'Storage Unavailable',
    'The storage does not answer at present. Nothing was applied; repeat the request.',
  ],
  moved: ['Database Moved', 'The database has moved to where the detail says. Nothing was applied.'],
  'outcome-unknown': [
    'Outcome Unknown',
    'The storage did not confirm the write, which may or may not have been applied.',
  ],
  'disk-full': ['Disk Full', 'The disk is full. Nothing was written; reads and deletes go on.'],
  corrupt: ['Corrupt Record', 'The stored record fails its checksum and is not given out.'],
  internal: ['Internal Error', 'The server failed; its log says how.'],
} as const;

/** The stable name of an error. */
export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];

/** What helps a client to act on an error. */
export interface ErrorContext {
  /** The limit that was exceeded, in the unit that the detail names. */
  readonly limit?: number;
  /** The setting that decides the limit. */
  readonly setting?: string;
  /** The entry's current tag, if a condition failed; absent if there is no entry. */
  readonly etag?: string;
  /** The keys concerned. */
  readonly keys?: readonly string[];
  /** The index of the failed operation in its batch, from 0. */
  readonly index?: number;
  /** The size of the value, bytes, when a range lies outside it. */
  readonly size?: number;
  /** The right that is missing. */
  readonly right?: string;
  /** The name of the limit that was exceeded, where it counts by the minute. */
  readonly policy?: string;
  /** Until that limit allows more, seconds. */
  readonly retryAfter?: number;
  /** What an import had done when it failed. */
  readonly [progress: string]: unknown;
}

/** An error for the user: a code of the table and one clear sentence. */
export class DatabaseError extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    readonly context: ErrorContext = {},
    options?: ErrorOptions,
  ) {
    super(detail, options);
    this.name = 'DatabaseError';
  }

  /** Returns this error with more context. */
  with(context: ErrorContext): DatabaseError {
    return new DatabaseError(this.code, this.detail, { ...this.context, ...context }, { cause: this.cause });
  }
}

/** The key is not in the database, or its entry has expired. */
export class MissingKeyError extends DatabaseError {
  /** @param advice what there is instead, to end the sentence */
  constructor(
    readonly key: string,
    advice = '',
  ) {
    super('missing-key', `The key \`${key}\` is not in the database${advice}`);
  }
}

/** A fault of the server itself, which whoever answers with this has logged. */
export function internalError(): DatabaseError {
  return new DatabaseError('internal', 'The server failed. Its log says how.');
}

/** The server cannot start with its settings. `message` is the one line that the user sees. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/**
 * The line for a start that failed, whatever failed it; undefined for a fault of the program, whose stack is wanted.
 * Modules are files, too: a process that may open only a few cannot even load them.
 */
export function startFailure(error: unknown): string | undefined {
  if (error instanceof StartError) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EMFILE' && code !== 'ENFILE') return undefined;
  return 'Too few files may be open at once. Raise the limit (`ulimit -n 4096`) and start again.';
}
