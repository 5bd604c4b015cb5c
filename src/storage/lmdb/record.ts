import { crc32 } from 'node:zlib';
import { DatabaseError } from '../../errors.js';
import { TEXT, type Entry } from '../entry.js';
import { formatTag, type Revision } from '../revision.js';

/*
 * The record of an entry in the store. Numbers are little-endian, times in milliseconds since 1970:
 *
 *    0  u8   format of the record, FORMAT
 *    1  u8   the type, an index of KNOWN_TYPES or 0 for any other, and the flags CREATED and EXPIRES
 *    2  u32  epoch
 *    6  u48  sequence
 *   12  u48  modified
 *   18  u48  created; only with CREATED, which is set if it differs from `modified`
 *    …  u48  expires; only with EXPIRES, which is set if the entry expires
 *    …  u16  length of the type, then the type in Latin-1; only if it is not a known one
 *    …       the value
 *  end  u32  CRC-32 of the key's UTF-8 bytes and everything before it
 *
 * A record is small because LMDB writes whole pages: the fewer bytes an entry takes, the fewer pages there are.
 *
 * LMDB has no page checksums: 64 flipped bytes can lose or change entries unnoticed. The CRC covers the key, so that a
 * record under another key is refused too. The CRC comes last, so that the CRC of key and record together is a constant,
 * its residue, and a check needs no second view of the bytes.
 */
const FORMAT = 2;
const CREATED = 0x80;
const EXPIRES = 0x40;
const TYPE_MASK = 0x3f;
const TIME_BYTES = 6;
const HEADER_BYTES = 18;
/** Where a record has its revision and, after that, its time: u32, u48 and u48. */
export const REVISION_AT = 2;
export const REVISION_BYTES = 16;
const LENGTH_BYTES = 2;
export const CRC_BYTES = 4;
const CRC_RESIDUE = 0x2144df1c;
const KNOWN_TYPES = ['', TEXT, 'application/json', 'application/octet-stream'];
const NO_VALUE = Buffer.alloc(0);

/** An entry that is stored or about to be, with the revision that its tag is made of. */
export interface StoredEntry extends Entry {
  readonly epoch: number;
  readonly sequence: number;
}

/** The parts of an entry that its record keeps, and its key. */
export type RecordParts = Omit<StoredEntry, 'etag' | 'size'>;

/** An entry in memory. Its tag, which not every caller reads, is made on demand. */
export class PlainEntry implements StoredEntry {
  readonly key: string;
  readonly value: Buffer;
  readonly type: string;
  readonly size: number;
  readonly created: number;
  readonly modified: number;
  readonly expires: number;
  readonly epoch: number;
  readonly sequence: number;

  constructor(parts: RecordParts, size = parts.value.length) {
    this.key = parts.key;
    this.value = parts.value;
    this.type = parts.type;
    this.size = size;
    this.created = parts.created;
    this.modified = parts.modified;
    this.expires = parts.expires;
    this.epoch = parts.epoch;
    this.sequence = parts.sequence;
  }

  get etag(): string {
    return formatTag(this.epoch, this.sequence);
  }
}

/** An entry from the store: a view of its record, which decodes a field when it is read. */
class RecordEntry implements StoredEntry {
  constructor(
    readonly key: string,
    private readonly record: Buffer,
  ) {}

  get value(): Buffer {
    return this.record.subarray(this.valueStart, this.record.length - CRC_BYTES);
  }

  get size(): number {
    return this.record.length - CRC_BYTES - this.valueStart;
  }

  get type(): string {
    const known = this.record[1]! & TYPE_MASK;
    if (known !== 0) return KNOWN_TYPES[known]!;
    return this.record.toString('latin1', typeStart(this.record[1]!) + LENGTH_BYTES, this.valueStart);
  }

  get etag(): string {
    return formatTag(this.epoch, this.sequence);
  }

  get epoch(): number {
    return this.record.readUInt32LE(2);
  }

  get sequence(): number {
    return this.record.readUIntLE(6, 6);
  }

  get modified(): number {
    return this.record.readUIntLE(12, TIME_BYTES);
  }

  get created(): number {
    return (this.record[1]! & CREATED) === 0
      ? this.modified
      : this.record.readUIntLE(HEADER_BYTES, TIME_BYTES);
  }

  get expires(): number {
    return expiresOf(this.record);
  }

  private get valueStart(): number {
    const flags = this.record[1]!;
    const start = typeStart(flags);
    return (flags & TYPE_MASK) === 0 ? start + LENGTH_BYTES + this.record.readUInt16LE(start) : start;
  }
}

/** Returns where the type begins, or the value if the type is a known one. */
function typeStart(flags: number): number {
  return (
    HEADER_BYTES + ((flags & CREATED) === 0 ? 0 : TIME_BYTES) + ((flags & EXPIRES) === 0 ? 0 : TIME_BYTES)
  );
}

/** Most bytes that a record has beside its value and its type. */
export const RECORD_BYTES = HEADER_BYTES + 2 * TIME_BYTES + LENGTH_BYTES + CRC_BYTES;
/** The same with its type. */
export const MOST_AROUND_VALUE = RECORD_BYTES + 255;

/** Returns how much memory `encode` needs at most. */
export function memoryOf({ key, type, value }: RecordParts): number {
  return Buffer.byteLength(key) + RECORD_BYTES + type.length + value.length;
}

/** Returns the record of `entry`, in memory that is large enough. */
export function encode(entry: RecordParts, target: Buffer = Buffer.allocUnsafe(memoryOf(entry))): Buffer {
  const { key } = entry;
  const start = target.write(key);
  return target.subarray(start, encodeAfterKey(0, start, entry, target));
}

/**
 * Writes the record of `entry` into `target` at `start`. The entry's key must lie directly before it, from `keyStart` on,
 * so that one pass makes the CRC of both. Returns where the record ends.
 */
export function encodeAfterKey(keyStart: number, start: number, entry: RecordParts, target: Buffer): number {
  const { type, value, created, modified, expires } = entry;
  const known = knownType(type);
  const flags = known | (created === modified ? 0 : CREATED) | (expires === 0 ? 0 : EXPIRES);
  target[start] = FORMAT;
  target[start + 1] = flags;
  writeRevision(target, start + REVISION_AT, entry.epoch, entry.sequence, modified);
  let end = start + HEADER_BYTES;
  if (created !== modified) end = target.writeUIntLE(created, end, TIME_BYTES);
  if (expires !== 0) end = target.writeUIntLE(expires, end, TIME_BYTES);
  if (known === 0) {
    end = target.writeUInt16LE(type.length, end);
    end += target.write(type, end, 'latin1');
  }
  target.set(value, end);
  end += value.length;
  return target.writeUInt32LE(crc32(target.subarray(keyStart, end)), end);
}

/** Returns how many bytes come before the value in a record that `encodeAround` writes. */
export function bytesBeforeValue(type: string): number {
  return HEADER_BYTES + 2 * TIME_BYTES + (knownType(type) === 0 ? LENGTH_BYTES + type.length : 0);
}

/**
 * Writes the record of `entry` around its value, which is in `record` already, `bytesBeforeValue` from its start, with 4
 * bytes after it. The record has both times, whatever they are, so that its length was known before them.
 */
export function encodeAround(entry: Omit<RecordParts, 'value'>, record: Buffer): void {
  const { key, type, created, expires } = entry;
  const known = knownType(type);
  record[0] = FORMAT;
  record[1] = known | CREATED | EXPIRES;
  writeRevision(record, REVISION_AT, entry.epoch, entry.sequence, entry.modified);
  let end = record.writeUIntLE(created, HEADER_BYTES, TIME_BYTES);
  end = record.writeUIntLE(expires, end, TIME_BYTES);
  if (known === 0) record.write(type, record.writeUInt16LE(type.length, end), 'latin1');
  const crcAt = record.length - CRC_BYTES;
  record.writeUInt32LE(crc32(record.subarray(0, crcAt), crc32(key)), crcAt);
}

function knownType(type: string): number {
  return type === TEXT ? 1 : Math.max(0, KNOWN_TYPES.indexOf(type, 1));
}

/** Writes a revision and its time. Returns where they end. */
export function writeRevision(
  target: Buffer,
  at: number,
  epoch: number,
  sequence: number,
  time: number,
): number {
  target.writeUInt32LE(epoch, at);
  target.writeUIntLE(sequence, at + 4, 6);
  return target.writeUIntLE(time, at + 10, TIME_BYTES);
}

/** Returns the entry in `record`, whose memory it keeps. @throws DatabaseError `corrupt` */
export function decode(key: string, record: Buffer): StoredEntry {
  const entry = decodeIfSound(key, record);
  if (!entry) throw corrupt(key);
  return entry;
}

/** The same, or undefined if the checksum or the format does not fit. */
export function decodeIfSound(key: string, record: Buffer): StoredEntry | undefined {
  const sound =
    record.length >= HEADER_BYTES + CRC_BYTES &&
    crc32(record, crc32(key)) === CRC_RESIDUE &&
    record[0] === FORMAT &&
    (record[1]! & TYPE_MASK) < KNOWN_TYPES.length;
  return sound ? new RecordEntry(key, record) : undefined;
}

/** The revision that the record under a key names, whether or not it is sound; undefined if it is too short for one. */
export function revisionOf(record: Buffer): Revision | undefined {
  if (record.length < HEADER_BYTES + CRC_BYTES || record[0] !== FORMAT) return undefined;
  return { epoch: record.readUInt32LE(2), sequence: record.readUIntLE(6, 6) };
}

/** Returns the entry without its value and without the memory of `record`. @throws DatabaseError `corrupt` */
export function decodeHeader(key: string, record: Buffer): StoredEntry {
  const { size, type, created, modified, expires, epoch, sequence } = decode(key, record);
  return new PlainEntry({ key, value: NO_VALUE, type, created, modified, expires, epoch, sequence }, size);
}

/** Returns when the entry expires, without checking the record. */
export function expiresOf(record: Buffer): number {
  const flags = record[1] ?? 0;
  const start = typeStart(flags) - TIME_BYTES;
  return (flags & EXPIRES) === 0 || record.length < start + TIME_BYTES
    ? 0
    : record.readUIntLE(start, TIME_BYTES);
}

/** Returns a stand-in for a corrupt record that is about to be overwritten or deleted. */
export function unreadableEntry(key: string, now: number): StoredEntry {
  const times = { created: now, modified: now, expires: 0 };
  return new PlainEntry({ key, value: NO_VALUE, type: TEXT, ...times, epoch: 0, sequence: 0 });
}

/** What a read of a record says that fails its checksum. */
export function corrupt(key: string): DatabaseError {
  return new DatabaseError(
    'corrupt',
    `The stored record of the key \`${key}\` fails its checksum. Its value is lost; restore it from a backup, ` +
      'write it again or delete it.',
    { keys: [key] },
  );
}
