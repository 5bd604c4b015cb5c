import type { Awaitable } from '../../storage/storage-engine.js';

/*
 * Work on megabytes takes longer than others can wait, because one thread serves all of them. Such work is written as a
 * generator that yields wherever it may be interrupted, and runs here. What is short runs at once and costs no promise.
 * What is long goes on in turns of a few milliseconds, between which everybody else is served. One long work is finished
 * before the next goes on, so that the memory of only one is in use.
 */

/** Work that yields at least once a millisecond, and then returns `T`. */
export type Turns<T> = Generator<void, T>;

/** How long work runs at once, and how long each later turn is, milliseconds. */
const AT_ONCE_MS = 1;
const TURN_MS = 5;

let last: Promise<unknown> = Promise.resolve();

/** Runs `work` to its end, at once if it is short. */
export function inTurns<T>(work: Turns<T>): Awaitable<T> {
  const first = work.next();
  const end = first.done ? first : runFor(AT_ONCE_MS, work);
  if (end) return end.value;
  const whole = last.then(() => runTurns(work));
  last = whole.catch(() => undefined);
  return whole;
}

async function runTurns<T>(work: Turns<T>): Promise<T> {
  for (;;) {
    await new Promise(setImmediate);
    const end = runFor(TURN_MS, work);
    if (end) return end.value;
  }
}

/** Runs `work` for `ms`. Returns its end if it has come. */
function runFor<T>(ms: number, work: Turns<T>): IteratorReturnResult<T> | undefined {
  const until = performance.now() + ms;
  do {
    const next = work.next();
    if (next.done) return next;
  } while (performance.now() < until);
  return undefined;
}

/** Joins pieces of at most some 100 KiB each. */
export function* joined(pieces: readonly Buffer[], bytes: number): Turns<Buffer> {
  const whole = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const piece of pieces) {
    at += piece.copy(whole, at);
    yield;
  }
  return whole;
}
