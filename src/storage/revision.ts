/**
 * A point in the life of a database. Every change takes the next one.
 *
 * `sequence` counts changes, across restarts. `epoch` is the start time of the writing process in seconds, or more, so
 * that it is above the stored one. A data folder that was copied back repeats sequences but not the epoch, so no pair of
 * the two repeats, unless all of that happens within a second. A `memory:` database may well start again within the second,
 * and begins with another sequence.
 */
export interface Revision {
  readonly epoch: number;
  readonly sequence: number;
}

const EPOCH_DIGITS = 8;
const SEQUENCE_DIGITS = 13;

/** The epoch of the last tag and its text, which the next tag almost always needs again. */
let lastEpoch = -1;
let lastPrefix = '';

/** Returns the tag of a revision, like `6745a1f0-0000000000042`. The width is fixed, so tags sort by age as strings. */
export function formatTag(epoch: number, sequence: number): string {
  if (epoch !== lastEpoch) {
    lastEpoch = epoch;
    lastPrefix = `${epoch.toString(16).padStart(EPOCH_DIGITS, '0')}-`;
  }
  return lastPrefix + sequence.toString(16).padStart(SEQUENCE_DIGITS, '0');
}

const TAG = new RegExp(`^[0-9a-f]{${EPOCH_DIGITS}}-[0-9a-f]{${SEQUENCE_DIGITS}}$`);

/** Returns the revision of a tag; undefined if the text is not a tag. */
export function parseTag(tag: string): Revision | undefined {
  if (!TAG.test(tag)) return undefined;
  return {
    epoch: parseInt(tag.slice(0, EPOCH_DIGITS), 16),
    sequence: parseInt(tag.slice(EPOCH_DIGITS + 1), 16),
  };
}

/** Returns the epoch of a process that starts to write at `now`, ms since 1970, to a database of epoch `stored`. */
export function nextEpoch(now: number, stored: number): number {
  return Math.max(Math.floor(now / 1000), stored + 1);
}

/** What the milliseconds of a start are multiplied by: more changes than a process makes in its life. */
const CHANGES_OF_A_MILLISECOND = 2 ** 40;

/** Returns the sequence after which a database begins that knows nothing of the one before it, started at `now`. */
export function firstSequence(now: number): number {
  return (Math.floor(now) % 1000) * CHANGES_OF_A_MILLISECOND;
}
