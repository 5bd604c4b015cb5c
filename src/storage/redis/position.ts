/*
 * A position in the change log: for each partition the sequence of the last change seen and two bytes of its tag's random
 * bits, so that a log that was cut short by a failover, and has grown anew since, is told apart.
 *
 * As text, base64url of: the epoch, u32; then for each partition its sequence in groups of seven bits, the lowest first, and
 * if it is not 0 the two bytes. Some 5 bytes a partition: 12 characters on one server, 1.7 KiB with 256 partitions.
 */

/** How far one partition's log has been read. */
export interface Mark {
  readonly sequence: number;
  /** The first four hexadecimal digits of the random bits of that change's tag; empty at 0. */
  readonly random: string;
}

export const START: Mark = { sequence: 0, random: '' };
const RANDOM_AT = 23;
const RANDOM_DIGITS = 4;

/** The mark behind the change that has `tag`; the text may be empty, before the first change. */
export function markOf(tag: string): Mark {
  return tag === ''
    ? START
    : { sequence: sequenceOf(tag), random: tag.slice(RANDOM_AT, RANDOM_AT + RANDOM_DIGITS) };
}

export function sequenceOf(tag: string): number {
  return parseInt(tag.slice(9, 22), 16);
}

export function encodePosition(epoch: number, marks: readonly Mark[]): string {
  const bytes: number[] = [(epoch >>> 24) & 255, (epoch >>> 16) & 255, (epoch >>> 8) & 255, epoch & 255];
  for (const { sequence, random } of marks) {
    let left = sequence;
    for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
    bytes.push(left);
    if (sequence > 0) bytes.push(parseInt(random.slice(0, 2), 16), parseInt(random.slice(2), 16));
  }
  return Buffer.from(bytes).toString('base64url');
}

/** The marks of `count` partitions; undefined if the text is malformed or of another epoch. */
export function decodePosition(text: string, epoch: number, count: number): Mark[] | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // What is no base64url is skipped by the decoder, and so are bits that no byte is made of.
  if (bytes.toString('base64url') !== text) return undefined;
  if (bytes.length < 4 + count || bytes.readUInt32BE(0) !== epoch) return undefined;
  const marks: Mark[] = [];
  let at = 4;
  while (marks.length < count) {
    let sequence = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || unit > 2 ** 49) return undefined;
      sequence += (byte & 127) * unit;
      if (byte < 128) break;
    }
    if (sequence > 0 && at + 2 > bytes.length) return undefined;
    const random = sequence > 0 ? bytes.toString('hex', at, (at += 2)) : '';
    marks.push({ sequence, random });
  }
  return at === bytes.length ? marks : undefined;
}
