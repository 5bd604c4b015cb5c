import { crc32 } from 'node:zlib';
import type { Revision } from '../revision.js';
import { LoggedChange } from './logged-change.js';
import { inPresentForm } from './old-segment.js';

/*
 * A segment of the log: changes (logged-change.ts) and a trailer, little-endian: the number of changes, u32; the epoch, u32, and
 * the sequence, f64, of the last change; the CRC-32 of everything before it.
 *
 * The checksum begins with the number of the form, so that a version that knows only another form takes the segment for damaged
 * and not for its own. Segments of storage format 2, whose checksum begins with 0, stay in the log until they have left it.
 */
const FORM = 3;
const OLD_FORM = 0;
const CRC_BYTES = 4;
export const TRAILER_BYTES = 16 + CRC_BYTES;

/** A segment that is whole. */
export class Segment {
  private constructor(
    private readonly bytes: Buffer,
    private readonly form: number,
  ) {}

  /** Returns undefined if the checksum does not fit. */
  static parse(bytes: Buffer): Segment | undefined {
    const sumAt = bytes.length - CRC_BYTES;
    if (sumAt < TRAILER_BYTES) return undefined;
    const sum = bytes.readUInt32LE(sumAt);
    const form = [FORM, OLD_FORM].find((each) => crc32(bytes.subarray(0, sumAt), each) === sum);
    return form === undefined ? undefined : new Segment(bytes, form);
  }

  /** How many changes it has. */
  get count(): number {
    return this.bytes.readUInt32LE(this.end);
  }

  /** The revision of the last change. */
  get last(): Revision {
    return { epoch: this.bytes.readUInt32LE(this.end + 4), sequence: this.bytes.readDoubleLE(this.end + 8) };
  }

  /** Its changes, oldest first, as views of its memory. */
  *changes(): Iterable<LoggedChange> {
    const bytes = this.present();
    for (let at = 0; at < bytes.length;) {
      const change = new LoggedChange(bytes, at);
      at = change.end;
      if (change.isKnown) yield change;
    }
  }

  /** Returns its changes in the present form. */
  present(): Buffer {
    const { end, form } = this;
    return form === FORM ? this.bytes.subarray(0, end) : inPresentForm(this.bytes, end);
  }

  /** Where the trailer begins. */
  private get end(): number {
    return this.bytes.length - TRAILER_BYTES;
  }
}

/** Writes the trailer of a segment that ends at `end`. Returns where the trailer ends. */
export function writeTrailer(segment: Buffer, end: number, count: number, last: Revision): number {
  segment.writeUInt32LE(count, end);
  segment.writeUInt32LE(last.epoch, end + 4);
  const sumAt = segment.writeDoubleLE(last.sequence, end + 8);
  return segment.writeUInt32LE(crc32(segment.subarray(0, sumAt), FORM), sumAt);
}
