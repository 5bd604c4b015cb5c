import { StartError } from '../../errors.js';
import { VERSION } from '../../version.js';
import type { Revision } from '../revision.js';

/*
 * The format of the store. A store of an older format is carried over by the first commit of this version, which writes the number
 * of the present one: what is new is read beside what is old, so that nothing has to be rewritten, and a crash leaves the store
 * before that commit or after it. From then on older versions refuse the store.
 *
 *   2  the log says neither who made a change, nor when, nor what it replaced (old-segment.ts)
 *   3  it does (logged-change.ts)
 */

/** Version of the storage format. Raised when older versions could not read what this one writes. */
export const STORE_FORMAT = 3;

/** The oldest format that this version reads. */
const OLDEST_FORMAT = 2;

/** The names of the trees. */
export const TREES = ['entries', 'expiry', 'log', 'meta', 'system'] as const;

export type TreeName = (typeof TREES)[number];

/**
 * What the tree `meta` has: the head of the store, where the database has moved, how far the background check is, the format of
 * the whole and who made that.
 */
export const HEAD = 'head';
export const FENCE = 'fence';
export const SCRUB = 'scrub';
export const FORMAT = 'format';
export const MADE_BY = 'made-by';
export const HEAD_BYTES = 48;

/** Size of the change log. */
interface LogBounds {
  count: number;
  bytes: number;
  /** The last revision that has left the log. */
  floor: Revision;
}

/** The head of the store: the last revision, the time and the size of the log. */
export interface Head {
  epoch: number;
  sequence: number;
  /** The highest time that a write has seen, milliseconds since 1970. */
  now: number;
  log: LogBounds;
}

/** The head in `bytes`, which are at least HEAD_BYTES. */
export function decodeHead(bytes: Buffer): Head {
  return {
    epoch: bytes.readUInt32LE(0),
    sequence: bytes.readDoubleLE(4),
    now: bytes.readDoubleLE(12),
    log: {
      count: bytes.readDoubleLE(20),
      bytes: bytes.readDoubleLE(28),
      floor: { epoch: bytes.readUInt32LE(36), sequence: bytes.readDoubleLE(40) },
    },
  };
}

/** The bytes that `decodeHead` reads. */
export function encodeHead({ epoch, sequence, now, log }: Head): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES);
  bytes.writeUInt32LE(epoch, 0);
  bytes.writeDoubleLE(sequence, 4);
  bytes.writeDoubleLE(now, 12);
  bytes.writeDoubleLE(log.count, 20);
  bytes.writeDoubleLE(log.bytes, 28);
  bytes.writeUInt32LE(log.floor.epoch, 36);
  bytes.writeDoubleLE(log.floor.sequence, 40);
  return bytes;
}

export function isReadable(format: number | undefined): boolean {
  return format !== undefined && format >= OLDEST_FORMAT && format <= STORE_FORMAT;
}

/** Returns what stops the start on a store whose format this version does not read. */
export function unreadable(
  described: string,
  format: number | undefined,
  version: string | undefined,
): StartError {
  const maker = version === undefined ? 'another version of Pigeonhole' : `Pigeonhole ${version}`;
  const remedy = version === undefined ? 'the version that wrote it' : `${version} or a newer version`;
  return new StartError(
    `DATABASE_URL: ${described} was written by ${maker} in storage format ${format ?? 'unknown'}; this is Pigeonhole ` +
      `${VERSION}, which reads formats ${OLDEST_FORMAT} to ${STORE_FORMAT}. Start ${remedy} on it; nothing was changed.`,
  );
}
