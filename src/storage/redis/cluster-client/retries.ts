import { ErrorReply } from '@redis/client';
import { DatabaseError } from '../../../errors.js';
import { ConnectionError } from './connection.js';

/** What a failed command asks for. */
export type Remedy =
  /** The slot lives elsewhere for good. */
  | { readonly kind: 'moved'; readonly to: string }
  /** The key lives elsewhere while the slot is being moved. */
  | { readonly kind: 'ask'; readonly to: string }
  /** Refused for now: nothing was done, and another try may succeed. */
  | { readonly kind: 'later' }
  /** Refused until somebody mends the server. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Nobody knows whether it was done. */
  | { readonly kind: 'lost' }
  /** It speaks of the command itself, or is ours. */
  | { readonly kind: 'final'; readonly error: Error };

const LATER = /^(?:NOSCRIPT|TRYAGAIN|LOADING|CLUSTERDOWN|READONLY|MASTERDOWN|BUSY|NOREPLICAS|UNBLOCKED)\b/;
const REDIRECT = /^(?<kind>MOVED|ASK) [0-9]+ (?<to>\S+)/;

/** Sorts a failure. Texts are those of https://redis.io/docs/latest/develop/reference/protocol-spec and the server's source. */
export function remedyFor(error: unknown): Remedy {
  if (error instanceof ConnectionError) return { kind: error.fate === 'lost' ? 'lost' : 'later' };
  if (!(error instanceof ErrorReply)) return { kind: 'final', error: error as Error };
  const { message } = error;
  const redirect = REDIRECT.exec(message)?.groups;
  if (redirect) return { kind: redirect['kind'] === 'ASK' ? 'ask' : 'moved', to: redirect['to']! };
  if (LATER.test(message)) return { kind: 'later' };
  if (message.startsWith('OOM')) return { kind: 'final', error: memoryFull() };
  if (/^(?:MISCONF|NOAUTH|NOPERM|WRONGPASS)/.test(message)) return { kind: 'refused', why: message };
  return { kind: 'final', error };
}

/** The server has to be told the script first. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof ErrorReply && error.message.startsWith('NOSCRIPT');
}

/** Nothing was applied. */
export function unavailable(why: string): DatabaseError {
  return new DatabaseError('unavailable', `${why} Nothing was applied; repeat the request.`);
}

/** Redis takes no such command for as long as nobody mends it. */
export class Refused extends DatabaseError {
  /** @param why in Redis's words, which are for those who run it */
  constructor(readonly why: string) {
    super('unavailable', 'Redis refuses the command. Nothing was applied; the log of the server says why.');
  }
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
