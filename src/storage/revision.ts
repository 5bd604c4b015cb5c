/**
 * A point in the life of a database: every change takes the next one.
 *
 * `sequence` counts changes and goes on over restarts. `epoch` is the start time of the writing process in seconds,
 * raised above the stored one before its first write. A data folder that was copied back, or a `memory:` database
 * that began anew, repeats sequences but never an epoch, so the pair never repeats.
 */
export interface Revision {
  readonly epoch: number;
  readonly sequence: number;
}

const EPOCH_DIGITS = 8;
const SEQUENCE_DIGITS = 13;

/** The epoch of the last tag that was made, which is almost always that of the next, and its text. */
let lastEpoch = -1;
let lastPrefix = '';

/** The tag of a revision, `6745a1f0-0000000000042`: hexadecimal and of fixed width, so that byte order is age. */
export function formatTag(epoch: number, sequence: number): string {
  if (epoch !== lastEpoch) {
    lastEpoch = epoch;
    lastPrefix = `${epoch.toString(16).padStart(EPOCH_DIGITS, '0')}-`;
  }
  return lastPrefix + sequence.toString(16).padStart(SEQUENCE_DIGITS, '0');
}

const TAG = new RegExp(`^[0-9a-f]{${EPOCH_DIGITS}}-[0-9a-f]{${SEQUENCE_DIGITS}}$`);

/** The revision of a tag; undefined if it is none. */
export function parseTag(tag: string): Revision | undefined {
  if (!TAG.test(tag)) return undefined;
  return {
    epoch: parseInt(tag.slice(0, EPOCH_DIGITS), 16),
    sequence: parseInt(tag.slice(EPOCH_DIGITS + 1), 16),
  };
}

/** The epoch for a process that starts writing at `now` (milliseconds) to a database last written in `stored`. */
export function nextEpoch(now: number, stored: number): number {
  return Math.max(Math.floor(now / 1000), stored + 1);
}
