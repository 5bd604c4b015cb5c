import { setTimeout as pause } from 'node:timers/promises';

/**
 * How long a test waits before it takes what does not come for lost, milliseconds: many times what it takes on a machine
 * that is busy with something else.
 */
export const HANG_MS = 120_000;

const POLL_MS = 20;

/** Waits until something holds. @throws Error when it does not within `limit` ms */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what = 'it',
  limit = HANG_MS,
): Promise<void> {
  const until = performance.now() + limit;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`${what} did not come to pass within ${limit} ms`);
    await pause(POLL_MS);
  }
}

/** Waits for `promise`. @throws Error when it is not settled within `limit` ms */
export async function within<T>(promise: Promise<T>, what: string, limit = HANG_MS): Promise<T> {
  const over = new AbortController();
  const late = pause(limit, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what} did not come to pass within ${limit} ms`);
  });
  late.catch(() => undefined);
  return Promise.race([promise, late]).finally(() => over.abort());
}
