import type { Head } from './store.js';

/** Raised by one when a server of before could not read what this one writes. */
export const STORE_FORMAT = 2;

/** The names of the trees. */
export const TREES = ['entries', 'expiry', 'log', 'meta', 'system'] as const;

export type TreeName = (typeof TREES)[number];

/** What the tree `meta` has: the head of the store, and the format of the whole. */
export const HEAD = 'head';
export const FORMAT = 'format';
export const HEAD_BYTES = 48;

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
