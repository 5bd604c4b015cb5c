import { setImmediate } from 'node:timers';

/** Counts the turns of the event loop of this process, in each of which other requests could be answered. */
export function countTurns(): { stop(): number } {
  let turns = 0;
  let isOver = false;
  const next = () => {
    turns++;
    if (!isOver) setImmediate(next);
  };
  setImmediate(next);
  return {
    stop: () => {
      isOver = true;
      return turns;
    },
  };
}
