import { DatabaseError } from '../errors.js';
import { parseTtl } from '../http/request/parameters.js';
import { parseTimestamp } from '../http/request/timestamp.js';
import type { Expiry } from '../storage/operation.js';
import { timestamp } from './entry-json.js';

/** The parameters that say when an entry ends. */
export const EXPIRY_PARAMETERS = ['ttl', 'expires'];

/**
 * Returns when an entry ends that is written at `now`, by its `ttl` or its `expires`; undefined if it has neither.
 * @throws DatabaseError `invalid-parameter` for both, for what is not of its form, and for a time that is over
 */
export function parseExpiry(
  ttl: string | undefined,
  expires: string | undefined,
  now: number,
): Expiry | undefined {
  if (expires === undefined) return ttl === undefined ? undefined : parseTtl(ttl);
  if (ttl !== undefined) throw invalid('An entry ends by either `ttl` or `expires`, not both.');
  const at = parseTimestamp(expires);
  if (at === undefined) {
    const hint = expires.includes(' ') ? ' In a URL the plus of an offset is `%2B`.' : '';
    throw invalid(
      `\`expires\` must be a time that exists, with its offset, such as 2030-01-31T12:00:00Z or ` +
        `2030-01-31T14:00:00+02:00.${hint}`,
    );
  }
  assertAhead(at, now);
  return { at };
}

/** @throws DatabaseError `invalid-parameter` if the time `at` is over */
export function assertAhead(at: number, now: number): void {
  if (at > now) return;
  throw invalid(`\`expires\` is over: ${timestamp(at)}; now it is ${timestamp(now)}. Nothing was stored.`);
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
