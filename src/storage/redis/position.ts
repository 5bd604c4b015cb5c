/*
 * A position in the change log of a database: one offset for each partition, which is the sequence of the last change read
 * and two bytes of the random digits of its tag. The random bytes reveal that a failover has cut the log short and that it
 * has grown again since.
 *
 * As text, base64url of: the epoch, u32 big-endian; then for each partition its sequence in groups of seven bits, the lowest
 * first, and the two bytes unless the sequence is 0. That is some 5 bytes a partition: 12 characters for one partition,
 * 1.7 KiB for 256.
 */

/** How far the log of one partition has been read. */
export interface Offset {
  readonly sequence: number;
  /** The first four of the random hexadecimal digits in the tag of that change; empty at sequence 0. */
  readonly random: string;
}

/** Before the first change. */
export const LOG_START: Offset = { sequence: 0, random: '' };
const RANDOM_START = 23;
const RANDOM_DIGITS = 4;

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
  const bytes: number[] = [(epoch >>> 24) & 255, (epoch >>> 16) & 255, (epoch >>> 8) & 255, epoch & 255];
  for (const { sequence, random } of offsets) {
    let left = sequence;
    for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
    bytes.push(left);
    if (sequence > 0) bytes.push(parseInt(random.slice(0, 2), 16), parseInt(random.slice(2), 16));
  }
  return Buffer.from(bytes).toString('base64url');
}

/** The offsets of `count` partitions; undefined if the text is malformed or of another epoch. */
export function decodePosition(text: string, epoch: number, count: number): Offset[] | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // The decoder ignores foreign characters and left-over bits.
  if (bytes.toString('base64url') !== text) return undefined;
  if (bytes.length < 4 + count || bytes.readUInt32BE(0) !== epoch) return undefined;
  const offsets: Offset[] = [];
  let at = 4;
  while (offsets.length < count) {
    let sequence = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || unit > 2 ** 49) return undefined;
      sequence += (byte & 127) * unit;
      if (byte < 128) break;
    }
    if (sequence > 0 && at + 2 > bytes.length) return undefined;
    const random = sequence > 0 ? bytes.toString('hex', at, (at += 2)) : '';
    offsets.push({ sequence, random });
  }
  return at === bytes.length ? offsets : undefined;
}
