import type { Store } from '../store.js';
import { START, type Place } from './slice.js';

/** What is noted of the background check, so that it goes on after a restart and all processes can tell. */
export interface ScrubRecord {
  /** When the last pass ended, milliseconds since 1970; 0 if none has. */
  readonly finished: number;
  /** What it has found. */
  readonly faults: number;
  /** Where the present pass is; undefined between two. */
  readonly place?: Place;
  /** What the present pass has found so far. */
  readonly found: number;
}

/** Returns what the store has noted; what cannot be read counts as nothing. */
export function readScrubRecord(store: Store): ScrubRecord {
  try {
    const bytes = store.scrubbed();
    if (bytes) return JSON.parse(bytes.toString()) as ScrubRecord;
  } catch {
    // It says what can be found out again.
  }
  return { finished: 0, faults: 0, found: 0, place: START };
}

/** Returns what the last pass has found and the present one, in a sentence for whoever asks for the state. */
export function scrubNotes(store: Store): string[] {
  const { faults, found } = readScrubRecord(store);
  const count = Math.max(faults, found);
  if (count === 0) return [];
  const what = count === 1 ? 'damage in one place' : `damage in ${count} places`;
  return [
    `The background check has found ${what} of the data file: the log names it, \`pigeonhole check\` too.`,
  ];
}
