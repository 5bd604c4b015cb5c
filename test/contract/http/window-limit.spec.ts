import { describe, expect, test } from '@jest/globals';
import { headersOf } from '../../../src/http/answer/error-status.js';
import { overLimit, rateLimitFields } from '../../../src/http/answer/rate-limit.js';
import { WindowLimit } from '../../../src/http/gate/window-limit.js';

const MINUTE = 60_000;
const MOST_KEYS = 100_000;

/** A limit whose clock stands still, at the beginning of a minute, until `advance`. */
function limitAt(start = 10 * MINUTE): { limit: WindowLimit; advance: (milliseconds: number) => void } {
  let now = start;
  return { limit: new WindowLimit(() => now), advance: (milliseconds) => (now += milliseconds) };
}

function takeTimes(limit: WindowLimit, key: string, times: number, most: number): boolean[] {
  return Array.from({ length: times }, () => limit.take(key, most).allowed);
}

describe('a limit by the minute', () => {
  test('allows as much as it says, then nothing until the minute ends', () => {
    const { limit, advance } = limitAt();
    expect(limit.take('a', 3)).toEqual({ allowed: true, limit: 3, remaining: 2, seconds: 60 });
    advance(25_500);
    expect(limit.take('a', 3)).toEqual({ allowed: true, limit: 3, remaining: 1, seconds: 35 });
    expect(limit.take('a', 3)).toEqual({ allowed: true, limit: 3, remaining: 0, seconds: 35 });
    expect(limit.take('a', 3)).toEqual({ allowed: false, limit: 3, remaining: 0, seconds: 35 });
    advance(34_499);
    expect(limit.take('a', 3)).toEqual({ allowed: false, limit: 3, remaining: 0, seconds: 1 });
    advance(1);
    expect(limit.take('a', 3)).toEqual({ allowed: true, limit: 3, remaining: 2, seconds: 60 });
  });

  test('counts each key for itself, and only what is allowed', () => {
    const { limit } = limitAt();
    expect(takeTimes(limit, 'a', 3, 2)).toEqual([true, true, false]);
    expect(takeTimes(limit, 'b', 3, 2)).toEqual([true, true, false]);
    // Somebody has raised the limit of `a`.
    expect(takeTimes(limit, 'a', 2, 3)).toEqual([true, false]);
    expect(limit.take('c', 0).allowed).toBe(false);
  });

  test('tells where a key stands without counting', () => {
    const { limit } = limitAt();
    expect(limit.look('a', 1)).toMatchObject({ allowed: true, remaining: 1 });
    limit.take('a', 1);
    expect(limit.look('a', 1)).toMatchObject({ allowed: false, remaining: 0 });
  });

  test('remembers at most 100,000 keys: more share one counter, and take none from those before', () => {
    const { limit, advance } = limitAt();
    const fill = () => {
      for (let i = 0; i < MOST_KEYS; i++) limit.take(`known ${i}`, 20);
    };
    fill();
    const strangers = Array.from({ length: 1_000_000 }, (_, i) => limit.take(`new ${i}`, 20).allowed);
    expect(strangers.filter(Boolean)).toHaveLength(20);
    expect(takeTimes(limit, 'known 7', 20, 20)).toEqual([...Array<boolean>(19).fill(true), false]);
    advance(MINUTE);
    expect(limit.take('new 1', 20)).toMatchObject({ allowed: true, remaining: 19 });
  });

  test('counts whole minutes of a clock that only goes forward, if it is given none', () => {
    const { allowed, remaining, seconds } = new WindowLimit().take('a', 20);
    expect({ allowed, remaining }).toEqual({ allowed: true, remaining: 19 });
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(seconds).toBeLessThanOrEqual(60);
  });
});

describe('what is over a limit', () => {
  const allowance = { allowed: false, limit: 20, remaining: 0, seconds: 34 };

  test('is told in the fields of the draft, with when to come again', () => {
    expect(headersOf(overLimit('failed-tokens', allowance, 'Too many.'), 'GET')).toEqual([
      'Retry-After',
      '34',
      'RateLimit-Policy',
      '"failed-tokens";q=20;w=60',
      'RateLimit',
      '"failed-tokens";r=0;t=34',
    ]);
  });

  test('names the limit in the problem', () => {
    const { code, detail, context } = overLimit('failed-tokens', allowance, 'Too many.');
    expect({ code, detail, ...context }).toEqual({
      code: 'too-many-requests',
      detail: 'Too many.',
      limit: 20,
      policy: 'failed-tokens',
      retryAfter: 34,
    });
  });

  test('says of what is allowed how much is left', () => {
    expect(rateLimitFields('requests', { limit: 600, remaining: 599, seconds: 60 })).toEqual([
      'RateLimit-Policy',
      '"requests";q=600;w=60',
      'RateLimit',
      '"requests";r=599;t=60',
    ]);
  });
});
