import { DatabaseError } from '../../errors.js';
import { Counter, meter } from '../../meters.js';

/** The window in which limits count, seconds. */
export const WINDOW_SECONDS = 60;

const limited = meter(new Counter('rate_limited_total', 'Requests over a limit, answered 429.'));

/** Where a client stands with a limit. */
export interface Allowance {
  /** Whether the limit allowed what was asked for. */
  readonly allowed: boolean;
  readonly limit: number;
  /** How much is left in this window. */
  readonly remaining: number;
  /** Until the window ends, whole seconds from 1 to 60. */
  readonly seconds: number;
}

/**
 * Returns the fields that tell a client where it stands, and with what (draft-ietf-httpapi-ratelimit-headers-11, sections 3
 * and 4): `RateLimit-Policy: "name";q=20;w=60` and `RateLimit: "name";r=0;t=34`.
 *
 * @param policy letters, digits and hyphens
 */
export function rateLimitFields(
  policy: string,
  { limit, remaining, seconds }: Omit<Allowance, 'allowed'>,
): readonly string[] {
  return [
    'RateLimit-Policy',
    `"${policy}";q=${limit};w=${WINDOW_SECONDS}`,
    'RateLimit',
    `"${policy}";r=${remaining};t=${seconds}`,
  ];
}

/** Returns the refusal of what a limit does not allow; its answer has the fields of `rateLimitFields` and `Retry-After`. */
export function overLimit(policy: string, { limit, seconds }: Allowance, detail: string): DatabaseError {
  limited.value++;
  return new DatabaseError('too-many-requests', detail, { limit, policy, retryAfter: seconds });
}

/** Returns the headers of an error that `overLimit` made. */
export function overLimitFields({ limit, policy, retryAfter }: DatabaseError['context']): readonly string[] {
  const seconds = retryAfter!;
  return [
    'Retry-After',
    String(seconds),
    ...rateLimitFields(policy!, { limit: limit!, remaining: 0, seconds }),
  ];
}
