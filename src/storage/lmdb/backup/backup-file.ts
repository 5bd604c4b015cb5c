import type { RawRecord } from '../fill-store.js';
import { isReadable, TREES } from '../store-format.js';

/*
 * The file of a backup: one instant of a store, record by record.
 *
 *   a line of JSON, BackupHeader, filled up with spaces to HEADER_BYTES
 *   the records of the trees `TREES` one tree after the other, each tree in the order of its keys. A record is, little-endian:
 *     u8 the index of its tree, u16 the length of its key, u32 the length of its value, key and value as they lie in the store
 *   a line of JSON, {"end":true,"sha256":"<hex>"}: the digest of all records and then of the first line
 *
 * Why not LMDB's own copy of its pages: that needs its room twice where the file is made elsewhere, and only LMDB can read it,
 * which a damaged file kills. Records can be checked one by one with a few pages of memory, and a restore makes a store of
 * them that has no free page. Entries and the log have checksums of their own, so a fault that was in the store is found
 * too. The digest takes the first line last, because that says how long the file is, which is known only at the end.
 *
 * Guarantee: a file that is cut, has more behind its end or a bit that is another is told from a whole one, and from its
 * length alone mostly. Left out: compression and encryption, for which there are programs.
 */

export const HEADER_BYTES = 512;
export const PREFIX_BYTES = 7;
const KIND = 'backup';
/** Raised when older versions could not read what this one writes. */
const FILE_FORMAT = 1;

/** The first line. */
export interface BackupHeader {
  readonly pigeonhole: typeof KIND;
  readonly format: number;
  /** Of the Pigeonhole that made it. */
  readonly version: string;
  /** Of the records, see store-format.ts. */
  readonly storeFormat: number;
  /** RFC 3339. */
  readonly made: string;
  /** The last change that is in it. */
  readonly position: string;
  readonly entries: number;
  /** The length of the file. */
  readonly bytes: number;
}

/** What is wrong with a file, in words that fit after the name of the file. */
export class BackupFault extends Error {
  override readonly name = 'BackupFault';
}

/** Returns the first line. */
export function encodeHeader(parts: Omit<BackupHeader, 'pigeonhole' | 'format'>): Buffer {
  const json = JSON.stringify({ pigeonhole: KIND, format: FILE_FORMAT, ...parts });
  return Buffer.from(`${json.padEnd(HEADER_BYTES - 1)}\n`);
}

/**
 * Returns the header in the first bytes of a file.
 * @throws BackupFault if it is none, or one of a version that this one does not read
 */
export function parseHeader(bytes: Buffer): BackupHeader {
  const header = jsonIn(bytes);
  if (header?.pigeonhole !== KIND || typeof header.format !== 'number')
    throw new BackupFault('is not a backup of Pigeonhole');
  const { format, version, storeFormat } = header;
  if (format !== FILE_FORMAT || !isReadable(storeFormat))
    throw new BackupFault(
      `was made by Pigeonhole ${version} in a form that this version does not read; take that version or a newer one`,
    );
  return header;
}

function jsonIn(bytes: Buffer): BackupHeader | undefined {
  if (bytes.length < HEADER_BYTES || bytes[HEADER_BYTES - 1] !== 0x0a) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8', 0, HEADER_BYTES));
    return typeof value === 'object' && value !== null ? (value as BackupHeader) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the last line. */
export function closingLine(sha256: string): Buffer {
  return Buffer.from(`${JSON.stringify({ end: true, sha256 })}\n`);
}

export const CLOSING_BYTES = closingLine('0'.repeat(64)).length;

/** Writes what stands before a record's key and value to `target`. Returns where it ends. */
export function writePrefix({ tree, key, value }: RawRecord, target: Buffer, at: number): number {
  target[at] = TREES.indexOf(tree);
  target.writeUInt16LE(key.length, at + 1);
  return target.writeUInt32LE(value.length, at + 3);
}
