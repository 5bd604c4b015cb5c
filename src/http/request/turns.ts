import { giveWay } from '../../event-loop.js';
import type { Awaitable } from '../../storage/storage-engine.js';
import { allocateValue } from '../../storage/value-memory.js';

/*
 * Work on megabytes takes longer than others can wait, because one thread serves all of them. Such work is written as a
 * generator that yields wherever it may be interrupted, and runs here. What is short runs at once and costs no promise.
 * What is long gives way to others (event-loop.ts). One long work is finished before the next goes on, so that the memory
 * of only one is in use.
 */

/** Work that yields at least once a millisecond, and then returns `T`. */
export type Turns<T> = Generator<void, T>;

/** How long work runs at once, milliseconds. */
const AT_ONCE_MS = 1;

let last: Promise<unknown> = Promise.resolve();

/** Runs `work` to its end, at once if it is short. */
export function inTurns<T>(work: Turns<T>): Awaitable<T> {
  const first = work.next();
  const end = first.done ? first : runAtOnce(work);
  if (end) return end.value;
  const whole = last.then(() => runTurns(work));
  last = whole.catch(() => undefined);
  return whole;
}

async function runTurns<T>(work: Turns<T>): Promise<T> {
  for (;;) {
    await giveWay();
    const next = work.next();
    if (next.done) return next.value;
  }
}

/** Runs `work` for a millisecond. Returns its end if it has come. */
function runAtOnce<T>(work: Turns<T>): IteratorReturnResult<T> | undefined {
  const until = performance.now() + AT_ONCE_MS;
  do {
    const next = work.next();
    if (next.done) return next;
  } while (performance.now() < until);
  return undefined;
}

/** Joins pieces of at most some 100 KiB each in `whole`, which has as many bytes as they have. */
export function* joined(
  pieces: readonly Buffer[],
  bytes: number,
  whole = allocateValue(bytes),
): Turns<Buffer> {
  let at = 0;
  for (const piece of pieces) {
    at += piece.copy(whole, at);
    yield;
  }
  return whole;
}
