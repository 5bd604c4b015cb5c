import type { Turns } from '../../../src/http/request/turns.js';

/** Runs work to its end in one turn. */
export function wholeOf<T>(work: Turns<T>): T {
  for (;;) {
    const next = work.next();
    if (next.done) return next.value;
  }
}
