import { crc32 } from 'node:zlib';
import { DatabaseError } from '../../errors.js';
import { TEXT, type Entry } from '../entry.js';
import { formatTag } from '../revision.js';

/*
 * How an entry lies in the store. Little-endian:
 *
 *    0  u8   format of the record, FORMAT
 *    1  u8   type: an index of KNOWN_TYPES, or 0 for a type spelled out behind the header
 *    2  u16  length of the spelled-out type, bytes
 *    4  u32  epoch
 *    8  f64  sequence
 *   16  f64  created, milliseconds since 1970
 *   24  f64  modified
 *   32  f64  expires, 0 for never
 *   40  …    the type (Latin-1), then the value
 *  end  u32  CRC-32 of the key's UTF-8 bytes and everything before it
 *
 * LMDB has no page checksums: 64 flipped bytes can lose or change entries in silence. The CRC covers the key, so that a
 * record found under another key is refused too, and stands last, so that the CRC over a whole sound record is one
 * constant (the CRC's residue) and a check needs no second view of the bytes.
 */
const FORMAT = 1;
const HEADER_BYTES = 40;
const CRC_BYTES = 4;
const CRC_RESIDUE = 0x2144df1c;
const KNOWN_TYPES = ['', TEXT, 'application/json', 'application/octet-stream'];
const NO_VALUE = Buffer.alloc(0);

/** An entry read from the store. Its tag is written out only when somebody asks. */
export class StoredEntry implements Entry {
  constructor(
    readonly key: string,
    readonly value: Buffer,
    readonly type: string,
    readonly size: number,
    readonly created: number,
    readonly modified: number,
    readonly expires: number,
    readonly epoch: number,
    readonly sequence: number,
  ) {}

  get etag(): string {
    return formatTag(this.epoch, this.sequence);
  }
}

/** The bytes stored for `entry`. */
export function encode(entry: StoredEntry): Buffer {
  const { key, type, value } = entry;
  const known = KNOWN_TYPES.indexOf(type, 1);
  const typeLength = known < 0 ? type.length : 0;
  const record = Buffer.allocUnsafe(HEADER_BYTES + typeLength + value.length + CRC_BYTES);
  record[0] = FORMAT;
  record[1] = known < 0 ? 0 : known;
  record.writeUInt16LE(typeLength, 2);
  record.writeUInt32LE(entry.epoch, 4);
  record.writeDoubleLE(entry.sequence, 8);
  record.writeDoubleLE(entry.created, 16);
  record.writeDoubleLE(entry.modified, 24);
  record.writeDoubleLE(entry.expires, 32);
  if (typeLength > 0) record.write(type, HEADER_BYTES, 'latin1');
  record.set(value, HEADER_BYTES + typeLength);
  const end = record.length - CRC_BYTES;
  record.writeUInt32LE(crc32(record.subarray(0, end), crc32(key)), end);
  return record;
}

/**
 * The entry in `record`, whose value shares the record's memory.
 * @param withValue false leaves the value out, for callers that only look at the header of a borrowed record.
 * @throws DatabaseError `corrupt` if the checksum or the format does not fit
 */
export function decode(key: string, record: Buffer, withValue = true): StoredEntry {
  if (record.length < HEADER_BYTES + CRC_BYTES || crc32(record, crc32(key)) !== CRC_RESIDUE)
    throw corrupt(key);
  if (record[0] !== FORMAT) throw corrupt(key);
  const known = record[1]!;
  const start = HEADER_BYTES + record.readUInt16LE(2);
  const end = record.length - CRC_BYTES;
  return new StoredEntry(
    key,
    withValue ? record.subarray(start, end) : NO_VALUE,
    known === 0 ? record.toString('latin1', HEADER_BYTES, start) : KNOWN_TYPES[known]!,
    end - start,
    record.readDoubleLE(16),
    record.readDoubleLE(24),
    record.readDoubleLE(32),
    record.readUInt32LE(4),
    record.readDoubleLE(8),
  );
}

/** When the record says it ends, whether or not it is sound. */
export function expiresOf(record: Buffer): number {
  return record.length < HEADER_BYTES ? 0 : record.readDoubleLE(32);
}

/** Stands for a record that cannot be read, where it is about to be overwritten or deleted. */
export function unreadable(key: string, now: number): StoredEntry {
  return new StoredEntry(key, NO_VALUE, TEXT, 0, now, now, 0, 0, 0);
}

function corrupt(key: string): DatabaseError {
  return new DatabaseError(
    'corrupt',
    `The stored record of the key \`${key}\` fails its checksum. Its value is lost; restore it from a backup, ` +
      'write it anew or delete it.',
  );
}
