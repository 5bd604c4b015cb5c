import { CHANGE_BYTES, DELETE, EXPIRE, REPLACES, SEQUENCE_BYTES } from './logged-change.js';
import { REVISION_AT, REVISION_BYTES } from './record.js';

/*
 * Changes as storage format 2 had them, little-endian. The trailer of their segments is the same, but for the checksum's start.
 *
 *    0  u8   kind
 *    1  u8   0
 *    2  u16  length of the key
 *    4  u32  epoch
 *    8  f64  sequence
 *   16  u32  length of what follows the key
 *   20  …    the key; for a put, the entry's record; f64 for a large put, whose record has no value: the size of the value
 *
 * They say neither who made a change nor what it replaced, nor when a removal was made: the time of the put before it in the
 * segment stands for that, or if there is none the start of the process that made it, which is its epoch.
 */
const HEADER_BYTES = 20;

/** Returns the changes of a segment, which end at `end`, in the present form. */
export function inPresentForm(segment: Buffer, end: number): Buffer {
  const changes: Buffer[] = [];
  let time = 0;
  for (let at = 0; at < end;) {
    const keyEnd = at + HEADER_BYTES + segment.readUInt16LE(at + 2);
    const next = keyEnd + segment.readUInt32LE(at + 16);
    const kind = segment[at]!;
    const isRemoval = kind === DELETE || kind === EXPIRE;
    time = isRemoval
      ? Math.max(time, segment.readUInt32LE(at + 4) * 1000)
      : segment.readUIntLE(keyEnd + REVISION_AT + 10, 6);
    const key = segment.subarray(at + HEADER_BYTES, keyEnd);
    const rest = isRemoval ? revisionOf(segment, at, time) : segment.subarray(keyEnd, next);
    const header = Buffer.alloc(CHANGE_BYTES + SEQUENCE_BYTES);
    header[0] = kind;
    header[1] = REPLACES;
    header.writeUInt16LE(key.length, 2);
    header.writeUInt32LE(rest.length, 4);
    changes.push(header, key, rest);
    at = next;
  }
  return Buffer.concat(changes);
}

function revisionOf(segment: Buffer, at: number, time: number): Buffer {
  const bytes = Buffer.alloc(REVISION_BYTES);
  bytes.writeUInt32LE(segment.readUInt32LE(at + 4), 0);
  bytes.writeUIntLE(segment.readDoubleLE(at + 8), 4, SEQUENCE_BYTES);
  bytes.writeUIntLE(time, 10, 6);
  return bytes;
}
