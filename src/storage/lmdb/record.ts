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

/** An entry that is stored, or about to be, with the revision behind its tag. */
export interface StoredEntry extends Entry {
  readonly epoch: number;
  readonly sequence: number;
}

/** An entry read from the store: a window on its record, whose fields are read only when somebody asks for them. */
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
    const known = this.record[1]!;
    return known === 0 ? this.record.toString('latin1', HEADER_BYTES, this.valueStart) : KNOWN_TYPES[known]!;
  }

  get etag(): string {
    return formatTag(this.epoch, this.sequence);
  }

  get epoch(): number {
    return this.record.readUInt32LE(4);
  }

  get sequence(): number {
    return this.record.readDoubleLE(8);
  }

  get created(): number {
    return this.record.readDoubleLE(16);
  }

  get modified(): number {
    return this.record.readDoubleLE(24);
  }

  get expires(): number {
    return this.record.readDoubleLE(32);
  }

  private get valueStart(): number {
    return HEADER_BYTES + this.record.readUInt16LE(2);
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
 * The entry in `record`, which keeps the record's memory.
 * @throws DatabaseError `corrupt` if the checksum or the format does not fit
 */
export function decode(key: string, record: Buffer): StoredEntry {
  const sound =
    record.length >= HEADER_BYTES + CRC_BYTES &&
    crc32(record, crc32(key)) === CRC_RESIDUE &&
    record[0] === FORMAT &&
    record[1]! < KNOWN_TYPES.length;
  if (!sound) throw corrupt(key);
  return new RecordEntry(key, record);
}

/** The same without its value, from memory that is only borrowed. @throws DatabaseError `corrupt` */
export function decodeHeader(key: string, record: Buffer): StoredEntry {
  const { size, type, etag, created, modified, expires, epoch, sequence } = decode(key, record);
  return { key, value: NO_VALUE, size, type, etag, created, modified, expires, epoch, sequence };
}

/** When the record says it ends, whether or not it is sound. */
export function expiresOf(record: Buffer): number {
  return record.length < HEADER_BYTES ? 0 : record.readDoubleLE(32);
}

/** Stands for a record that cannot be read, where it is about to be overwritten or deleted. */
export function unreadable(key: string, now: number): StoredEntry {
  const entry = { key, value: NO_VALUE, type: TEXT, size: 0, created: now, modified: now, expires: 0 };
  return { ...entry, epoch: 0, sequence: 0, etag: formatTag(0, 0) };
}

function corrupt(key: string): DatabaseError {
  return new DatabaseError(
    'corrupt',
    `The stored record of the key \`${key}\` fails its checksum. Its value is lost; restore it from a backup, ` +
      'write it anew or delete it.',
  );
}
