import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import type { Turns } from './turns.js';

const NAME = 'idempotency-key';
/** A string of RFC 8941, 3.3.3. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;
const VISIBLE = /^[\x21-\x7e]{1,255}$/;
/** The headers that decide what a write does. */
const DECIDING = ['content-type', 'if-match', 'if-none-match', 'if-unmodified-since'];
/** What is hashed in a fraction of a millisecond. */
const PIECE_BYTES = 256 * 1024;

/**
 * Returns the Idempotency-Key of a request, without quotes if it is a quoted string; undefined if it has none.
 * @throws DatabaseError `invalid-idempotency-key`
 */
export function idempotencyKeyOf({ rawHeaders }: IncomingMessage): string | undefined {
  let found: string | undefined;
  // `headers` would be made for this alone.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== NAME.length || rawHeaders[i]!.toLowerCase() !== NAME) continue;
    if (found !== undefined) throw invalid('The request has several; it takes one.');
    found = rawHeaders[i + 1]!;
  }
  return found === undefined ? undefined : unquoted(found);
}

function unquoted(text: string): string {
  const quoted = QUOTED.exec(text);
  const key = quoted ? quoted[1]!.replaceAll(/\\(.)/g, '$1') : text;
  if (VISIBLE.test(key) && (quoted || !text.startsWith('"'))) return key;
  throw invalid('It takes 1 to 255 visible ASCII characters, as they are or as a string in double quotes.');
}

/** Whether the write of a request is to be done once. @throws DatabaseError `invalid-idempotency-key` */
export function hasIdempotencyKey(request: IncomingMessage): boolean {
  return idempotencyKeyOf(request) !== undefined;
}

/**
 * Refuses the key of a request that takes none: a client must not believe that its write is done once.
 * @throws DatabaseError `invalid-idempotency-key` with the sentence `why`
 */
export function refuseIdempotencyKey(request: IncomingMessage, why: string): void {
  if (hasIdempotencyKey(request)) throw invalid(`It is not taken here. ${why}`);
}

/** Returns the SHA-256, in base64url, of everything in a request that decides what it does. */
export function* fingerprintOf(
  { method, headers }: IncomingMessage,
  target: string,
  body: Buffer,
): Turns<string> {
  const bodyHash = createHash('sha256');
  for (let at = 0; at < body.length; at += PIECE_BYTES) {
    if (at > 0) yield;
    bodyHash.update(body.subarray(at, at + PIECE_BYTES));
  }
  const deciding = DECIDING.map((name) => headers[name] ?? null);
  return sha256([method, target, ...deciding, bodyHash.digest('base64url')]);
}

/** Returns the SHA-256 of a list in base64url. */
export function sha256(of: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(of)).digest('base64url');
}

function invalid(why: string): DatabaseError {
  return new DatabaseError('invalid-idempotency-key', `Idempotency-Key: ${why} Nothing was applied.`);
}
