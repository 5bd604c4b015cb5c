import { DatabaseError, MissingKeyError } from '../../errors.js';
import { TEXT } from '../entry.js';
import { integerOverflow, notAnInteger, preconditionFailed } from '../operation.js';
import type { KeyedWrite } from '../idempotency.js';
import { refusalIn, refusalText } from '../idempotency-record.js';
import type { BatchOperation, Expiry, Outcome } from '../operation.js';
import { changes } from '../storage-meters.js';
import { decode, decodeHeader } from './record.js';

/* The arguments and replies of scripts/write.lua: operations, and their outcomes. */

const NONE = '';
const NO_VALUE = Buffer.alloc(0);

/** How many arguments each operation has, of which the first is its name. */
export const OPERATION_WORDS = 8;

/** The arguments of one operation; `keyNumber` says which of KEYS its entry is, from 1. */
export function encodeOperation(operation: BatchOperation, keyNumber: number): (string | Buffer)[] {
  const { op, condition, by = NONE } = operation;
  const first = [op, String(keyNumber), condition ? JSON.stringify(condition) : NONE];
  switch (op) {
    case 'put':
      return [...first, ...encodeExpiry(operation.expiry), operation.type, operation.value, by];
    case 'incr':
      return [...first, ...encodeExpiry(operation.expiry), operation.amount.toString(), TEXT, by];
    case 'touch':
      return [...first, ...encodeExpiry(operation.expiry), NONE, NONE, by];
    default:
      return [...first, NONE, NONE, NONE, NONE, by];
  }
}

function encodeExpiry(expiry: Expiry): [mode: string, time: string] {
  if (expiry === 'never' || expiry === 'keep') return [expiry, NONE];
  return 'in' in expiry ? ['in', String(expiry.in)] : ['at', String(expiry.at)];
}

/** The reply to one operation: an outcome with header and value, or the size of a large value in its place, or `!` with an error code, a tag and an index. */
export type OperationReply = readonly [
  kind: Buffer,
  first?: Buffer | null,
  second?: Buffer | null,
  index?: number | null,
  size?: number,
];

/** What is refused that reads too much. */
export type Refusal = () => DatabaseError;

/** @param isNew whether it has been done now, and counts */
export function decodeOutcome(
  operation: BatchOperation,
  [kind, first, second, , size]: OperationReply,
  tooLarge: Refusal,
  isNew = true,
): Outcome | DatabaseError {
  const outcome = kind.toString('latin1');
  switch (outcome) {
    case '!':
      return decodeError(operation, first!.toString('latin1'), second!.toString('utf8'), tooLarge);
    case 'created':
    case 'updated':
    case 'found': {
      if (isNew && outcome !== 'found') changes.by.put++;
      const value = second ?? (operation.op === 'put' ? operation.value : undefined);
      const entry = value
        ? decode(operation.key, first!, value)
        : { ...decodeHeader(operation.key, first!, size ?? 0), value: NO_VALUE };
      return { kind: outcome, entry };
    }
    default:
      if (isNew && outcome === 'deleted') changes.by.delete++;
      return { kind: outcome as 'deleted' | 'absent' | 'checked' };
  }
}

function decodeError(
  operation: BatchOperation,
  code: string,
  etag: string,
  tooLarge: Refusal,
): DatabaseError {
  const { key } = operation;
  switch (code) {
    case 'missing-key':
      return new MissingKeyError(key);
    case 'not-an-integer':
      return notAnInteger(key);
    case 'integer-overflow':
      return integerOverflow(key, operation.op === 'incr' ? operation.amount : 0n);
    case 'body-too-large':
      return tooLarge();
    case 'given':
      return refusalIn(etag, operation);
    default:
      return preconditionFailed(key, etag || undefined);
  }
}

/** The arguments of an operation that a caller has refused, which is all that is remembered of it. */
export function encodeRefusal(refusal: DatabaseError, operation: BatchOperation): (string | Buffer)[] {
  return ['refuse', '1', NONE, NONE, NONE, refusalText(refusal, operation), NONE, NONE];
}

/** The arguments of a write with an Idempotency-Key, after its operations (once.lua). */
export function encodeOnce(
  { key, keepsValues, isAttempt }: KeyedWrite,
  ...[ttl, share, most]: [ttl: number, share: number, most: number]
): string[] {
  return [
    key.id,
    key.fingerprint,
    String(ttl),
    String(share),
    String(most),
    keepsValues ? 'values' : NONE,
    isAttempt ? 'attempt' : NONE,
  ];
}
