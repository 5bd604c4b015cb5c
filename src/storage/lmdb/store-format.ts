import type { Revision } from '../revision.js';

/** Version of the storage format. Raised when older versions could not read what this one writes. */
export const STORE_FORMAT = 2;

/** The names of the trees. */
export const TREES = ['entries', 'expiry', 'log', 'meta', 'system'] as const;

export type TreeName = (typeof TREES)[number];

/** What the tree `meta` has: the head of the store, the format of the whole, and where the database has moved. */
export const HEAD = 'head';
export const FENCE = 'fence';
export const FORMAT = 'format';
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
