/**
 * Everything that can go wrong, in one closed table.
 *
 * A code is stable: clients may switch on it, so it never changes; titles may. This file knows nothing of HTTP:
 * `http/status-of.ts` gives each code its status, and the compiler refuses a code without one.
 */
export const ERRORS = {
  'missing-query': 'Missing Query',
  'invalid-query': 'Query Error',
  'missing-key': 'Key Error',
  'key-too-long': 'Key Too Long',
  'value-too-large': 'Value Too Large',
  'route-not-found': 'Resource not found',
  'method-not-allowed': 'Method Not Allowed',
  'malformed-request': 'Malformed Request',
  'headers-too-large': 'Headers Too Large',
  'request-timeout': 'Request Timeout',
  'expectation-failed': 'Expectation Failed',
  'unsupported-encoding': 'Unsupported Encoding',
  'cross-site': 'Cross-Site Request Refused',
  'misdirected-host': 'Unknown Host',
  'precondition-failed': 'Precondition Failed',
  'not-an-integer': 'Not An Integer',
  'integer-overflow': 'Integer Overflow',
  'cross-slot': 'Keys In Different Partitions',
  'not-supported': 'Not Supported By This Engine',
  busy: 'Too Busy',
  stopping: 'Shutting Down',
  unavailable: 'Storage Unavailable',
  'outcome-unknown': 'Outcome Unknown',
  'disk-full': 'Disk Full',
  corrupt: 'Corrupt Record',
  internal: 'Internal Error',
} as const;

/** A stable name of one thing that can go wrong. */
export type ErrorCode = keyof typeof ERRORS;

/** Members that help a client act on an error: the setting or limit behind it, the tag that is current, … */
export interface ErrorContext {
  /** The limit that was passed, in the unit the detail names. */
  readonly limit?: number;
  /** The setting that decides the limit. */
  readonly setting?: string;
  /** The entry's tag when a condition failed; absent if there is no entry. */
  readonly etag?: string;
  /** The keys concerned. */
  readonly keys?: readonly string[];
  /** The position of the failing operation in its batch, from 0. */
  readonly index?: number;
}

/** A failure the user is told about: a code of the table and one clear sentence. */
export class DatabaseError extends Error {
  constructor(
    readonly code: ErrorCode,
    /** One clear sentence for the person who reads the answer. */
    readonly detail: string,
    readonly context: ErrorContext = {},
    options?: ErrorOptions,
  ) {
    super(detail, options);
    this.name = 'DatabaseError';
  }
}

/** The key asked for is not in the database, or its time has run out. */
export class MissingKeyError extends DatabaseError {
  constructor(readonly key: string) {
    super('missing-key', `The key \`${key}\` is not in the database`);
  }
}

/** The server cannot start as it was told to: `message` is the one line the user sees. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
