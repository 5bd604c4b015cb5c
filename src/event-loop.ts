import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';

/*
 * Shares the event loop between long work and everything else.
 *
 * Problem: promises alone never leave a turn of the event loop, so one reader who is fast enough, or a loop over a million
 * keys, would keep every other request waiting. Design: all long work of the process shares 5 ms of a turn. It calls
 * `giveWay` after each piece, which waits once the time is used up; in the next turn those that wait go on, one piece each,
 * the first come first. Guarantee: however many long readers there are, long work takes 5 ms and one piece of a turn. A
 * piece should take 3 ms at most.
 */
const SHARE_MS = 5;

/** When the share of this turn is used up, on the clock of `performance`; undefined if no long work has run in it. */
let end: number | undefined;
const waiting: (() => void)[] = [];

/** Returns what to wait for before the next piece of long work, or undefined if there is time left in this turn. */
export function giveWay(): Promise<void> | undefined {
  const now = performance.now();
  if (end === undefined) {
    startTurn(now);
    return undefined;
  }
  if (now < end && waiting.length === 0) return undefined;
  const turn = new Promise<void>((resolve) => waiting.push(resolve));
  if (now < end) waiting.shift()!();
  return turn;
}

function startTurn(now: number): void {
  end = now + SHARE_MS;
  setImmediate(endTurn);
}

function endTurn(): void {
  const resume = waiting.shift();
  end = undefined;
  if (!resume) return;
  startTurn(performance.now());
  resume();
}
