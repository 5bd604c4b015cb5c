import { DatabaseError, MissingKeyError } from '../errors.js';
import { evaluate, type Condition } from './condition.js';
import { TEXT, type Entry, type EntryHeader } from './entry.js';
import { conditionsFailed } from './storage-meters.js';

/** When a written entry expires: never, when it did before, milliseconds from now, or at a time in ms since 1970. */
export type Expiry = 'never' | 'keep' | { readonly in: number } | { readonly at: number };

/** An operation on one key. It is plain data, so that an engine can send it to where the key lives. */
export type Operation = Action & {
  /** Public id of the token that asks for it, which the change log keeps; absent where there is none. */
  readonly by?: string;
};

type Action =
  | { readonly op: 'get'; readonly key: string; readonly condition?: Condition }
  | { readonly op: 'check'; readonly key: string; readonly condition: Condition }
  | {
      readonly op: 'put';
      readonly key: string;
      readonly value: Buffer;
      readonly type: string;
      readonly expiry: Expiry;
      readonly condition?: Condition;
    }
  | { readonly op: 'delete'; readonly key: string; readonly condition?: Condition }
  /** Adds `amount` to a decimal integer of 64 bits, exactly. An absent key counts from 0 and takes `expiry`. */
  | {
      readonly op: 'incr';
      readonly key: string;
      readonly amount: bigint;
      readonly expiry: Expiry;
      readonly condition?: Condition;
    }
  | { readonly op: 'touch'; readonly key: string; readonly expiry: Expiry; readonly condition?: Condition };

/** An operation that a batch may contain. */
export type BatchOperation = Operation;

/** Returns how many bytes of values an operation brings. */
export function sizeOf(operation: Operation): number {
  return operation.op === 'put' ? operation.value.length : 0;
}

/** Whether the value that is there decides what an operation does, or is a part of what it comes to. */
export function needsValue({ op }: Operation): boolean {
  return op !== 'put' && op !== 'delete' && op !== 'check';
}

/** Whether an operation overwrites or deletes its entry whatever that is. */
export function isUnconditional({ op, condition }: Operation): boolean {
  return (op === 'put' || op === 'delete') && condition === undefined;
}

/** The result of an operation, with the entry as it is after it. A touched one may come without its value, if that is large. */
export type Outcome =
  | { readonly kind: 'created' | 'updated' | 'found'; readonly entry: Entry }
  | { readonly kind: 'deleted' | 'absent' | 'checked' };

/** What an engine has to do to the key of an operation. */
export type Effect =
  | { readonly kind: 'none'; readonly outcome: Outcome }
  | { readonly kind: 'remove'; readonly outcome: Outcome }
  | {
      readonly kind: 'write';
      readonly value: Buffer;
      readonly type: string;
      readonly created: number;
      readonly expires: number;
    };

const ABSENT: Effect = { kind: 'none', outcome: { kind: 'absent' } };
const CHECKED: Effect = { kind: 'none', outcome: { kind: 'checked' } };
const REMOVE: Effect = { kind: 'remove', outcome: { kind: 'deleted' } };

/**
 * Decides what `operation` does at `now` to a key whose live entry is `current`. A pure function and the one definition
 * of what operations mean, for all engines that decide in this process.
 *
 * @throws DatabaseError if the operation is refused: its condition fails, its value is not an integer, …
 */
export function decide(operation: Operation, current: Entry | undefined, now: number): Effect {
  // A condition is ignored where the request without it would fail (RFC 9110, section 13.2.1).
  if (!current && operation.op === 'touch') throw new MissingKeyError(operation.key);
  if (!current && operation.op === 'get') return ABSENT;
  if (operation.condition) assertHolds(operation.condition, operation.key, current);
  switch (operation.op) {
    case 'get':
      return { kind: 'none', outcome: { kind: 'found', entry: current! } };
    case 'check':
      return CHECKED;
    case 'delete':
      return current ? REMOVE : ABSENT;
    case 'put':
      return write(operation.value, operation.type, current, operation.expiry, now);
    case 'incr': {
      const sum = Buffer.from(add(operation.key, current, operation.amount).toString());
      return current
        ? write(sum, current.type, current, 'keep', now)
        : write(sum, TEXT, current, operation.expiry, now);
    }
    case 'touch':
      return write(current!.value, current!.type, current, operation.expiry, now);
  }
}

function write(value: Buffer, type: string, current: Entry | undefined, expiry: Expiry, now: number): Effect {
  const created = current ? current.created : now;
  return { kind: 'write', value, type, created, expires: expiresAt(expiry, current, now) };
}

/** Returns milliseconds since 1970, or 0 for never. */
function expiresAt(expiry: Expiry, current: EntryHeader | undefined, now: number): number {
  if (expiry === 'never') return 0;
  if (expiry === 'keep') return current ? current.expires : 0;
  return 'in' in expiry ? now + expiry.in : expiry.at;
}

/** @throws DatabaseError `precondition-failed` */
export function assertHolds(condition: Condition, key: string, current: EntryHeader | undefined): void {
  if (evaluate(condition, current) !== 'holds') throw preconditionFailed(key, current?.etag);
}

/** @param etag the entry's current tag; undefined if there is no entry */
export function preconditionFailed(key: string, etag: string | undefined): DatabaseError {
  conditionsFailed.value++;
  const state = etag === undefined ? 'it does not exist' : `its tag is "${etag}"`;
  return new DatabaseError(
    'precondition-failed',
    `The condition does not hold for the key \`${key}\`: ${state}.`,
    { etag },
  );
}

/** Whether an operation was not carried out, or perhaps not, because the storage could not be reached. */
export function isFailure(outcome: Outcome | DatabaseError): boolean {
  return outcome instanceof DatabaseError && FAILURES.has(outcome.code);
}

/** @throws DatabaseError as one for all operations of a pipeline, if some of them are failures */
export function assertReached(outcomes: readonly (Outcome | DatabaseError)[]): void {
  const failures = outcomes.filter((outcome): outcome is DatabaseError => isFailure(outcome));
  if (failures.length === 0) return;
  const unknown = failures.find(({ code }) => code === 'outcome-unknown');
  if (unknown || failures.length === outcomes.length) throw unknown ?? failures[0]!;
  throw new DatabaseError(
    'outcome-unknown',
    'A part of the database could not be reached, so some of the operations have been applied and others not.',
  );
}

/** Counts the bytes of the values that a batch reads, up to a limit, and in those that all batches at once read. */
export class FoundBytes {
  private total = 0;

  constructor(
    private readonly limit = Infinity,
    private readonly all?: FoundBytes,
    private readonly refusal = tooMuchFound,
  ) {}

  /** Checks that at least `bytes` more may be found, before they are read. @throws DatabaseError as `add` does */
  check(bytes: number): void {
    if (this.total + bytes > this.limit) throw this.refusal(this.limit);
    this.all?.check(bytes);
  }

  /** @throws DatabaseError `body-too-large`; `busy` if it is the others that read so much */
  add(outcome: Outcome): void {
    if (outcome.kind !== 'found') return;
    this.total += outcome.entry.size;
    if (this.total > this.limit) throw this.refusal(this.limit);
    this.all?.add(outcome);
  }
}

export function tooMuchFound(limit: number): DatabaseError {
  return new DatabaseError('body-too-large', `The values a batch reads may have ${limit} bytes together.`, {
    limit,
  });
}

export function tooMuchFoundAtOnce(limit: number): DatabaseError {
  const detail = `The values that batches read at once may have ${limit} bytes together. Try again.`;
  return new DatabaseError('busy', detail, { limit });
}

const FAILURES: ReadonlySet<string> = new Set(['busy', 'moved', 'unavailable', 'outcome-unknown']);
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);

function integerIn(value: Buffer): bigint | undefined {
  const text = value.length <= 20 ? value.toString('latin1') : '';
  return INTEGER.test(text) ? BigInt(text) : undefined;
}

function add(key: string, current: Entry | undefined, amount: bigint): bigint {
  const value = current ? integerIn(current.value) : 0n;
  if (value === undefined || value > MAX_INT64 || value < MIN_INT64) throw notAnInteger(key);
  const sum = value + amount;
  if (sum > MAX_INT64 || sum < MIN_INT64) throw integerOverflow(key, amount);
  return sum;
}

export function notAnInteger(key: string): DatabaseError {
  return new DatabaseError(
    'not-an-integer',
    `The value of the key \`${key}\` is not a 64-bit decimal integer.`,
  );
}

export function integerOverflow(key: string, amount: bigint): DatabaseError {
  return new DatabaseError(
    'integer-overflow',
    `Adding ${amount} to the key \`${key}\` would leave the range of 64-bit integers.`,
  );
}
