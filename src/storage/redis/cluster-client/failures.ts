import { ErrorReply } from '@redis/client';
import { DatabaseError } from '../../../errors.js';
import { ConnectionError } from './connection-error.js';

/** Why a command failed, which decides what the client does next. */
export type Failure =
  /** The slot lives on another server now. */
  | { readonly kind: 'moved'; readonly to: string }
  /** This key lives on another server already; its slot is being moved. */
  | { readonly kind: 'ask'; readonly to: string }
  /** Nothing was done, and another try may succeed. */
  | { readonly kind: 'transient' }
  /** Nothing was done, because the server does not have the partition, or does not have it yet. */
  | { readonly kind: 'lost' }
  /** Nothing was done, because the server's clock, which shows `time`, is past the deadline that was computed for it. */
  | { readonly kind: 'late'; readonly time: number }
  /** Nothing was done, and nothing will be until an operator acts. `reply` is Redis's own text. */
  | { readonly kind: 'refused'; readonly reply: string }
  /** The command may or may not have been carried out. */
  | { readonly kind: 'unknown' }
  /** The command itself is at fault, or the error is one of ours. */
  | { readonly kind: 'final'; readonly error: Error };

const TRANSIENT =
  /^(?:NOSCRIPT|TRYAGAIN|LOADING|CLUSTERDOWN|READONLY|MASTERDOWN|BUSY|NOREPLICAS|UNBLOCKED|OVERTAKEN)\b/;
/** What a user may not do inside a script, Redis 7.0 refuses without a code of its own. */
const REFUSED = /^(?:MISCONF|NOAUTH|NOPERM|WRONGPASS|ERR The user executing the script can't)\b/;
const LATE = /^LATE (?<time>[0-9]+)/;
const REDIRECTION = /^(?<kind>MOVED|ASK) [0-9]+ (?<to>\S+)/;

/**
 * Classifies what `Connection.send` has thrown. The texts are those of
 * https://redis.io/docs/latest/develop/reference/protocol-spec and of the server's source; LATE, OVERTAKEN,
 * FORGOTTEN and EMPTY are those of our scripts.
 */
export function classify(error: unknown): Failure {
  if (error instanceof ConnectionError) return { kind: error.wasSent ? 'unknown' : 'transient' };
  if (!(error instanceof ErrorReply)) return { kind: 'final', error: error as Error };
  const { message } = error;
  const redirection = REDIRECTION.exec(message)?.groups;
  if (redirection) return { kind: redirection['kind'] === 'ASK' ? 'ask' : 'moved', to: redirection['to']! };
  const late = LATE.exec(message)?.groups;
  if (late) return { kind: 'late', time: Number(late['time']) };
  if (message.startsWith('EMPTY')) return { kind: 'lost' };
  if (TRANSIENT.test(message)) return { kind: 'transient' };
  if (REFUSED.test(message)) return { kind: 'refused', reply: message };
  if (message.startsWith('FORGOTTEN')) return { kind: 'final', error: outcomeUnknown() };
  return { kind: 'final', error: message.startsWith('OOM') ? memoryFull() : error };
}

/** Whether the server has to load the script before it can run it. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof ErrorReply && error.message.startsWith('NOSCRIPT');
}

/** Redis refuses such commands until an operator acts. */
export class RefusedError extends DatabaseError {
  /** @param reply Redis's own text, for the operator and not for clients */
  constructor(readonly reply: string) {
    super('unavailable', 'Redis refuses the command. Nothing was applied; the log of the server says why.');
  }
}

export function unavailable(): DatabaseError {
  return new DatabaseError(
    'unavailable',
    'Redis does not answer at present. Nothing was applied; repeat the request.',
  );
}

/** A server of a cluster is gone, and nobody has its data. */
export function partUnavailable(): DatabaseError {
  return new DatabaseError(
    'unavailable',
    'A part of the database cannot be reached: its Redis server does not answer, and no replica can take its place. ' +
      'Nothing was applied; repeat the request.',
  );
}

const PART_LOST =
  'A part of the database is gone: its Redis server has come back without its data, and writes that were answered are ' +
  'lost with it. Nothing was applied. Whoever runs it can put the data back, or begin anew; docs/redis.md says how.';

/** A server does not have what it had. */
export function partLost(): DatabaseError {
  return new DatabaseError('unavailable', PART_LOST);
}

export function isPartLost(error: unknown): boolean {
  return error instanceof DatabaseError && error.detail === PART_LOST;
}

export function outcomeUnknown(): DatabaseError {
  return new DatabaseError(
    'outcome-unknown',
    'Redis did not confirm the write, which may or may not have been applied. Read the key before repeating it.',
  );
}

function memoryFull(): DatabaseError {
  return new DatabaseError(
    'disk-full',
    'The memory of Redis is full (its maxmemory). Nothing was written; reads and deletes go on.',
  );
}
