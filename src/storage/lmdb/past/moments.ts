import type { Moment } from '../../past.js';
import { formatTag } from '../../revision.js';
import type { Store } from '../store.js';
import { segmentAt, type LogLookup } from './log-lookup.js';

/**
 * Finds the moment of a time: after the last change that was made by then. The times of changes never run backwards, so the log is
 * searched by halves.
 */
export function momentAt(store: Store, lookup: LogLookup, time: number): Moment {
  const { epoch, sequence, log } = store.readHead();
  const { floor } = log;
  const [first] = store.log.getKeys({ start: 0, limit: 1 });
  const startOf = (key: number) => lookup.around(store, key).first?.time ?? Infinity;
  if (first === undefined || startOf(first) > time) {
    // The log begins with the database, or with a change after one that it has dropped.
    const isReached = floor.sequence === 0;
    return { position: formatTag(isReached ? epoch : floor.epoch, floor.sequence), time, isReached };
  }
  // The segment at `low` begins by then, and those from `high` on later.
  let [low, high] = [first, sequence + 1];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const key = segmentAt(store.log, middle);
    if (startOf(key) <= time) low = middle;
    else high = key;
  }
  const last = lookup.around(store, low).lastBy(time);
  return { position: last?.position ?? formatTag(floor.epoch, floor.sequence), time, isReached: true };
}
