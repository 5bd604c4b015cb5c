/*
 * A position in the change log of a database: one offset for each partition, which is the sequence of the last change read
 * and two bytes of the random digits of its tag. The random bytes reveal that a failover has cut the log short and that it
 * has grown again since.
 *
 * Problem: clients send positions back in a header, and of headers above a few kB proxies and servers refuse some. Design: a
 * position has a fixed size for each number of partitions. What is left for a sequence are its lowest 3 to 6 bytes; of
 * the numbers that end in them, the one nearest to the partition's present sequence is meant. So a position is understood
 * that is fewer than 8 million changes of one partition old, which is far more than its log holds. An older one is taken for
 * another, which the log no longer has, or has with other random bytes. Guarantee: up to MAX_PARTITIONS a position has at
 * most 2000 characters.
 *
 * As text, base64url of: the epoch, u32 big-endian; a bit for each partition, the highest first, which says whether it has
 * changes; a bit that is set, and none up to the end of the byte; then of each partition that has changes the end of its
 * sequence, big-endian, and the two bytes.
 */

/** How far the log of one partition has been read. */
export interface Offset {
  readonly sequence: number;
  /** The first four of the random hexadecimal digits in the tag of that change; empty at sequence 0. */
  readonly random: string;
}

/** Before the first change. */
export const LOG_START: Offset = { sequence: 0, random: '' };
/** The most partitions of a new database. More would make positions too long. */
export const MAX_PARTITIONS = 256;
const RANDOM_START = 23;
const RANDOM_DIGITS = 4;
/** 2000 characters of base64url. */
const MOST_BYTES = 1500;
const EPOCH_BYTES = 4;
const RANDOM_BYTES = RANDOM_DIGITS / 2;
/** What a Buffer can write as one number. */
const MAX_SEQUENCE_BYTES = 6;
/** Of older databases, which may have more partitions than MAX_PARTITIONS. */
const MIN_SEQUENCE_BYTES = 3;

/** The offset after the change of `tag`; the empty tag stands for no change. */
export function offsetAfter(tag: string): Offset {
  return tag === ''
    ? LOG_START
    : { sequence: sequenceOf(tag), random: tag.slice(RANDOM_START, RANDOM_START + RANDOM_DIGITS) };
}

/** The sequence in a tag, `<epoch>-<sequence>-<random>`. */
export function sequenceOf(tag: string): number {
  return parseInt(tag.slice(9, 22), 16);
}

export function encodePosition(epoch: number, offsets: readonly Offset[]): string {
  const width = sequenceBytes(offsets.length);
  const bytes = Buffer.alloc(sizeOf(offsets.length, offsets.length));
  bytes.writeUInt32BE(epoch);
  let at = sizeOf(offsets.length, 0);
  const setBit = (i: number) => (bytes[EPOCH_BYTES + (i >> 3)]! |= 128 >> (i & 7));
  setBit(offsets.length);
  for (const [id, { sequence, random }] of offsets.entries()) {
    if (sequence === 0) continue;
    setBit(id);
    at = bytes.writeUIntBE(sequence % 256 ** width, at, width);
    at = bytes.writeUInt16BE(parseInt(random, 16), at);
  }
  return bytes.toString('base64url', 0, at);
}

/**
 * The offsets of all partitions; undefined if the text is malformed or of another epoch.
 * @param known a recent sequence of each partition
 */
export function decodePosition(text: string, epoch: number, known: readonly number[]): Offset[] | undefined {
  const count = known.length;
  const bytes = Buffer.from(text, 'base64url');
  // The decoder ignores foreign characters and left-over bits.
  if (bytes.toString('base64url') !== text) return undefined;
  if (bytes.length < sizeOf(count, 0) || bytes.readUInt32BE(0) !== epoch) return undefined;
  const bit = (i: number) => (bytes[EPOCH_BYTES + (i >> 3)]! & (128 >> (i & 7))) !== 0;
  const last = Array.from({ length: 8 - (count & 7) }, (_, i) => bit(count + i));
  if (last.lastIndexOf(true) !== 0) return undefined;
  const changed = known.map((_, id) => bit(id));
  if (bytes.length !== sizeOf(count, changed.filter(Boolean).length)) return undefined;
  const width = sequenceBytes(count);
  let at = sizeOf(count, 0);
  const offsets: Offset[] = [];
  for (const [id, recent] of known.entries()) {
    if (!changed[id]) {
      offsets.push(LOG_START);
      continue;
    }
    const sequence = nearest(bytes.readUIntBE(at, width), recent, 256 ** width);
    if (sequence <= 0) return undefined;
    const random = bytes.toString('hex', at + width, at + width + RANDOM_BYTES);
    offsets.push({ sequence, random });
    at += width + RANDOM_BYTES;
  }
  return offsets;
}

/** The number nearest to `recent` whose remainder is `end`. */
function nearest(end: number, recent: number, modulus: number): number {
  const distance = (recent - end) % modulus;
  const near = recent - distance;
  if (distance > modulus / 2) return near + modulus;
  return distance < -modulus / 2 ? near - modulus : near;
}

/** Bytes of a bit for each of `count` partitions, and one more. */
function bitBytes(count: number): number {
  return (count >> 3) + 1;
}

/** Bytes of a position in which so many of `count` partitions have changes. */
function sizeOf(count: number, changed: number): number {
  return EPOCH_BYTES + bitBytes(count) + changed * (sequenceBytes(count) + RANDOM_BYTES);
}

/** Bytes that a position of `count` partitions has for each sequence. */
function sequenceBytes(count: number): number {
  const room = Math.floor((MOST_BYTES - EPOCH_BYTES - bitBytes(count)) / count) - RANDOM_BYTES;
  return Math.max(MIN_SEQUENCE_BYTES, Math.min(MAX_SEQUENCE_BYTES, room));
}
