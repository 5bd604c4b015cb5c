import { DatabaseError } from '../errors.js';
import { sizeOf, tooMuchFound, type BatchOperation, type Outcome } from './operation.js';
import type { Steps } from './steps.js';

/** A key that a client has given to a write, and what was written under it. Both are SHA-256 in base64url. */
export interface IdempotencyKey {
  /** Of the key and of who gave it: the keys of different tokens are different ones. */
  readonly id: string;
  /** Of everything in the request that decides what it does. */
  readonly fingerprint: string;
}

/** A write that is done once, however often it is asked for. */
export interface KeyedWrite {
  readonly key: IdempotencyKey;
  /** One operation; a batch of which all or nothing is done; or a batch in which each stands for itself. */
  readonly mode: 'single' | 'atomic' | 'pipeline';
  readonly operations: readonly BatchOperation[];
  /** Of all values that a batch reads, as in `StorageEngine.batch`. */
  readonly maxBytes?: number;
  /** Whether the answer has the values that are put, too. */
  readonly keepsValues?: boolean;
  /** Whether the caller tries again when the condition fails, so that this is not remembered but thrown. */
  readonly isAttempt?: boolean;
  /** What the operation was refused with by a caller that decided it: only this is remembered, and nothing is done. */
  readonly refusal?: DatabaseError;
}

/** What a keyed write came to, the first time. */
export interface KeyedAnswer {
  /**
   * What each operation came to, as `write` and `batch` return it; of an atomic batch that was refused, only that refusal. What
   * is remembered has the values that were read, the sums of counters and what `keepsValues` says; other values are empty.
   */
  readonly outcomes: readonly (Outcome | DatabaseError)[];
  /** Until when it is remembered, milliseconds since 1970, unless newer answers take its place. */
  readonly expires: number;
  /** Whether it was done before, and nothing now. */
  readonly isReplay: boolean;
}

/** For how long, and how many bytes of, answers to keyed writes are remembered. */
export interface IdempotencySettings {
  /** Milliseconds; a day by default. */
  readonly idempotencyTtl?: number;
  /** Bytes, of which the oldest are forgotten when they are more; 16 MiB by default. */
  readonly idempotencyBytes?: number;
}

export const IDEMPOTENCY_TTL = 24 * 60 * 60 * 1000;
export const IDEMPOTENCY_BYTES = 16 * 2 ** 20;

/** An answer may take this share of all that are remembered, so that one does not push out all others. */
const SHARE = 4;
/** What is kept of an operation beside its values, at most, and rather more: its tag, times, type or error. */
const OPERATION_BYTES = 512;

/** What is decided in the write is remembered. Errors of the storage are not, because the write may be tried again. */
const DECIDED: ReadonlySet<string> = new Set([
  'missing-key',
  'precondition-failed',
  'not-an-integer',
  'integer-overflow',
  'not-json',
]);

type Outcomes = (Outcome | DatabaseError)[];

/** What applies operations in this process: one, all or none of them, or each by itself; many at once or in steps. */
export interface Applier {
  apply(operation: BatchOperation): Outcome;
  applyAll(operations: readonly BatchOperation[], ...limit: FoundLimit): Outcome[] | Steps<Outcome[]>;
  applyEach(operations: readonly BatchOperation[], ...limit: FoundLimit): Outcomes | Steps<Outcomes>;
}

/** Does a keyed write. Returns what it came to, and is to be remembered. @throws DatabaseError for what is not */
export function* outcomesOf(write: KeyedWrite, limit: FoundLimit, applier: Applier): Steps<Outcomes> {
  const { mode, operations, refusal, isAttempt } = write;
  if (refusal) return [refusal];
  try {
    if (mode === 'single') return [applier.apply(operations[0]!)];
    const apply = mode === 'atomic' ? 'applyAll' : 'applyEach';
    const outcomes = applier[apply](operations, ...limit);
    return Array.isArray(outcomes) ? outcomes : yield* outcomes;
  } catch (error) {
    if (isDecided(error) && !isAttempt) return [error];
    throw error;
  }
}

/** Whether an error is a refusal that belongs to the write, which is remembered. */
export function isDecided(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && DECIDED.has(error.code);
}

/** How many bytes of values a batch may read, and the refusal of more. */
export type FoundLimit = [maxBytes: number, refusal: (limit: number) => DatabaseError];

/**
 * Returns the limit of the values that go into the answer to `write`.
 * @param bytes that all answers together may have which are remembered
 * @throws DatabaseError `body-too-large` if what is put goes into the answer, and is more
 */
export function limitOf(
  { operations, keepsValues, maxBytes = Infinity }: KeyedWrite,
  bytes: number,
): FoundLimit {
  const room = Math.floor(bytes / SHARE) - operations.length * OPERATION_BYTES;
  const values = keepsValues ? operations.reduce((sum, each) => sum + sizeOf(each), 0) : 0;
  if (values > room) throw tooLargeToRemember(bytes, 'Nothing was applied. ');
  if (maxBytes <= room) return [maxBytes, tooMuchFound];
  return [room, () => tooLargeToRemember(bytes)];
}

/** @param more what is true if it is the whole write that is refused, and not a read among others */
function tooLargeToRemember(bytes: number, more = ''): DatabaseError {
  const limit = Math.floor(bytes / SHARE);
  return new DatabaseError(
    'body-too-large',
    `The answer to a write with an Idempotency-Key is kept, and may have at most ${limit} bytes, a quarter of ` +
      `IDEMPOTENCY_BYTES. ${more}Read the values apart from the write, or leave the key out.`,
    { limit, setting: 'IDEMPOTENCY_BYTES' },
  );
}

/** What a write is refused with whose key was given to another one. */
export function idempotencyMismatch(): DatabaseError {
  return new DatabaseError(
    'idempotency-mismatch',
    'The Idempotency-Key was given to another request: of another method, URL, condition, type or body. Nothing was ' +
      'applied. Give each write a key of its own, and repeat a write as it was.',
  );
}
