import { applyDecorators } from '@nestjs/common';
import { ApiExtension, ApiHeader, ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { ErrorCode } from '../../errors.js';

/** Holds the error codes of an operation until the document is built, which makes responses of them. */
export const ERRORS_EXTENSION = 'x-errors';
/** Holds the path on which an operation takes its path parameter as a query parameter instead. */
export const TWIN_EXTENSION = 'x-twin';

/** The errors that every request may meet. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  'malformed-request',
  'headers-too-large',
  'request-timeout',
  'expectation-failed',
  'unsupported-encoding',
  'misdirected-host',
  'unsupported-version',
  'stopping',
  'internal',
];

/** The errors of every operation on data: where it needs a token, the request may have none, a wrong one or a weak one. */
export const TOKEN_ERRORS: readonly ErrorCode[] = [
  'unauthenticated',
  'invalid-token',
  'forbidden',
  'too-many-requests',
];

/** The errors of operations that read the store. */
export const READ_ERRORS: readonly ErrorCode[] = ['busy', 'unavailable', 'moved', 'corrupt'];
/** The errors of operations that write to the store. */
export const WRITE_ERRORS: readonly ErrorCode[] = [
  ...READ_ERRORS,
  'cross-site',
  'condition-required',
  'outcome-unknown',
  'disk-full',
];

/** The errors of a write that may have an Idempotency-Key, beside those of every write. */
const ONCE_ERRORS: readonly ErrorCode[] = [
  'invalid-idempotency-key',
  'idempotency-mismatch',
  'body-too-large',
  'not-supported',
];
/** The name of the header that makes a write one that is done once. */
export const IDEMPOTENCY_KEY = 'Idempotency-Key';

/** What an operation is called and does, and which errors it may answer beside the common ones. */
export interface OperationText {
  /** Its name in generated clients. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly errors: readonly ErrorCode[];
  /** The path that takes the key of this operation in its query. */
  readonly twin?: string;
  /** Whether it takes an Idempotency-Key. */
  readonly once?: boolean;
}

const ONCE = ApiHeader({
  name: IDEMPOTENCY_KEY,
  description:
    'Has the write done once, however often the same request is sent: a repeat is answered as the first was, with ' +
    '`Idempotency-Replayed: true`. 1 to 255 visible characters, as they are or as a quoted string.',
  required: false,
  schema: { type: 'string', minLength: 1 },
});

/** Documents an operation. Status, sentence and example of its errors come from the table of errors. */
export function describeOperation(text: OperationText): MethodDecorator {
  const { id, summary, description, errors, twin, once = false } = text;
  return applyDecorators(
    ...(once ? [ONCE] : []),
    ApiOperation({ operationId: id, summary, ...(description && { description }) }),
    ApiExtension(ERRORS_EXTENSION, once ? [...errors, ...ONCE_ERRORS] : errors),
    ...(twin ? [ApiExtension(TWIN_EXTENSION, twin)] : []),
  );
}

/** Documents an answer of JSON. */
export function jsonAnswer(
  status: number,
  description: string,
  schema: object,
  example: unknown,
  headers = {},
): MethodDecorator {
  return ApiResponse({ status, description, content: { 'application/json': { schema, example } }, headers });
}
