import { DatabaseError, MissingKeyError } from '../../errors.js';
import type { Entry, EntryHeader } from '../entry.js';
import { TEXT } from '../entry.js';
import { integerOverflow, notAnInteger, preconditionFailed, tooMuchFound } from '../operation.js';
import type { BatchOperation, Expiry, Outcome } from '../operation.js';

/*
 * Operations as the script WRITE takes them, and its answers. An entry is a hash of two fields: its value, and its header
 * as text, `<etag> <created> <modified> <expires> <type>`, times in milliseconds.
 */

const NOTHING = '';

/** The seven arguments of one operation; `entry` is the number of its entry's name in KEYS. */
export function encodeOperation(operation: BatchOperation, entry: number): (string | Buffer)[] {
  const { op, condition } = operation;
  const decided = condition ? JSON.stringify(condition) : NOTHING;
  const head = [op, String(entry), decided];
  switch (op) {
    case 'put':
      return [...head, ...expiryOf(operation.expiry), operation.type, operation.value];
    case 'incr':
      return [...head, ...expiryOf(operation.expiry), operation.by.toString(), TEXT];
    case 'touch':
      return [...head, ...expiryOf(operation.expiry), NOTHING, NOTHING];
    default:
      return [...head, NOTHING, NOTHING, NOTHING, NOTHING];
  }
}

function expiryOf(expiry: Expiry): [mode: string, time: string] {
  if (expiry === 'never' || expiry === 'keep') return [expiry, NOTHING];
  return 'in' in expiry ? ['in', String(expiry.in)] : ['at', String(expiry.at)];
}

/** One answer of WRITE: what it came to, and what belongs to that. */
export type Answer = readonly [kind: Buffer, first?: Buffer, second?: Buffer, index?: number];

/** The outcome that `answer` tells; a refusal as an error. */
export function decodeOutcome(
  operation: BatchOperation,
  [kind, first, second]: Answer,
  maxBytes: number | undefined,
): Outcome | DatabaseError {
  const came = kind.toString('latin1');
  switch (came) {
    case '!':
      return refusal(operation, first!.toString('latin1'), second!.toString('latin1'), maxBytes);
    case 'created':
    case 'updated':
    case 'found': {
      const value = operation.op === 'put' ? operation.value : second!;
      return { kind: came, entry: entryOf(operation.key, first!, value) };
    }
    default:
      return { kind: came as 'deleted' | 'absent' | 'checked' };
  }
}

function refusal(operation: BatchOperation, code: string, etag: string, maxBytes = Infinity): DatabaseError {
  const { key } = operation;
  switch (code) {
    case 'missing-key':
      return new MissingKeyError(key);
    case 'not-an-integer':
      return notAnInteger(key);
    case 'integer-overflow':
      return integerOverflow(key, operation.op === 'incr' ? operation.by : 0n);
    case 'body-too-large':
      return tooMuchFound(maxBytes);
    default:
      return preconditionFailed(key, etag || undefined);
  }
}

/** The entry of a header and a value. */
export function entryOf(key: string, header: Buffer, value: Buffer): Entry {
  return { ...headerOf(key, header, value.length), value };
}

/** What a header says. */
export function headerOf(key: string, header: Buffer, size: number): EntryHeader {
  const text = header.toString();
  const created = text.indexOf(' ') + 1;
  const modified = text.indexOf(' ', created) + 1;
  const expires = text.indexOf(' ', modified) + 1;
  const type = text.indexOf(' ', expires) + 1;
  return {
    key,
    type: text.slice(type),
    size,
    etag: text.slice(0, created - 1),
    created: Number(text.slice(created, modified - 1)),
    modified: Number(text.slice(modified, expires - 1)),
    expires: Number(text.slice(expires, type - 1)),
  };
}
