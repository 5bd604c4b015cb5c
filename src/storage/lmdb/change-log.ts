import { crc32 } from 'node:zlib';
import { DatabaseError } from '../../errors.js';
import type { Revision } from '../revision.js';
import { formatTag, parseTag } from '../revision.js';
import { MAX_KEY_BYTES, type EntryHeader } from '../entry.js';
import { LOGGED_VALUE_BYTES, type Change } from '../storage-engine.js';
import { decode, encode, encodeBehind, RECORD_BYTES, type Recorded, type StoredEntry } from './record.js';
import type { Head, Store } from './store.js';

/*
 * The change log in the store: segments of changes under the sequence of their first, appended in the transaction that
 * makes the changes.
 *
 * Problem: a log record a write would double what a write puts into the tree. Design: the changes of one transaction
 * share a segment of up to 64 KiB, so a group commit of 64 writes appends one record. Whole segments are dropped from
 * the front when the log outgrows its bounds; the head remembers the last revision that was dropped, so that a reader
 * behind it is told to start anew, and so is one whose position belongs to another life of the database.
 *
 * A segment is changes back to back, then a trailer: how many there are, u32, the epoch, u32, and the sequence, f64, of the
 * last, and the CRC-32 of all before it. A change, little-endian:
 *
 *    0  u8   kind: 1 put, 2 delete, 3 expire, 4 put whose value is too large to be kept
 *    1  u8   0
 *    2  u16  length of the key
 *    4  u32  epoch
 *    8  f64  sequence
 *   16  u32  length of what follows the key
 *   20  …    the key, then the entry's record (record.ts), which of a large value has no value; then its size, f64
 */
const PUT = 1;
const DELETE = 2;
const EXPIRE = 3;
const LARGE_PUT = 4;
const HEADER_BYTES = 20;
const CRC_BYTES = 4;
const TRAILER_BYTES = 16 + CRC_BYTES;
const SEGMENT_BYTES = 64 * 1024;
/** Of one change: its header, a key, and a record of the largest value that is kept. */
const MAX_CHANGE_BYTES = HEADER_BYTES + MAX_KEY_BYTES + RECORD_BYTES + 512 + LOGGED_VALUE_BYTES;
const MAX_CHANGES = 100_000;
const READ_BYTES = 256 * 1024;
/** The library's types know options only as a version. */
const APPEND = { append: true } as unknown as number;

/** Writes the log, inside write transactions. */
export class ChangeLogWriter {
  /** The segment that is being filled; LMDB copies it, so that one piece of memory serves for all. */
  private readonly segment = Buffer.allocUnsafeSlow(SEGMENT_BYTES + MAX_CHANGE_BYTES + TRAILER_BYTES);
  private length = 0;
  private count = 0;
  private first = 0;
  private last = 0;

  constructor(
    private readonly store: Store,
    private readonly maxBytes: number,
  ) {}

  /** Forgets what a transaction that was taken back has added. */
  begin(): void {
    this.length = 0;
    this.count = 0;
  }

  /** A put of `entry`. Answers its record, in memory that the next change overwrites. */
  put(head: Head, entry: StoredEntry): Buffer {
    if (entry.size > LOGGED_VALUE_BYTES) return this.putLarge(head, entry);
    const { segment } = this;
    const keyEnd = this.start(head, entry.sequence, PUT, entry.key);
    const end = encodeBehind(this.length + HEADER_BYTES, keyEnd, entry, segment);
    this.finish(head, entry.sequence, keyEnd, end);
    return segment.subarray(keyEnd, end);
  }

  remove(head: Head, sequence: number, key: string, expired: boolean): void {
    const keyEnd = this.start(head, sequence, expired ? EXPIRE : DELETE, key);
    this.finish(head, sequence, keyEnd, keyEnd);
  }

  /** Appends what has been added and drops what is too much. */
  flush(head: Head): void {
    this.appendSegment(head);
    const { log } = head;
    while (log.count > MAX_CHANGES || log.bytes > this.maxBytes) if (!this.dropFirst(head)) return;
  }

  /** False if there is none. */
  private dropFirst({ epoch, sequence, log }: Head): boolean {
    const [key, next = sequence + 1] = this.store.log.getKeys({ start: 0, limit: 2 });
    if (key === undefined) return false;
    const segment = this.store.borrow(this.store.log, key)!;
    // What a damaged one says of itself could close the log for ever; its neighbours tell nearly the same.
    const guess = { count: Math.min(next - key, log.count), last: { epoch, sequence: next - 1 } };
    const { count, last } = isSound(segment) ? readTrailer(segment) : guess;
    log.floor = last;
    log.count -= count;
    log.bytes -= segment.length;
    void this.store.log.remove(key);
    return true;
  }

  private putLarge(head: Head, entry: StoredEntry): Buffer {
    const { segment } = this;
    const keyEnd = this.start(head, entry.sequence, LARGE_PUT, entry.key);
    const valueless: Recorded = { ...entry, value: segment.subarray(0, 0) };
    const end = encodeBehind(this.length + HEADER_BYTES, keyEnd, valueless, segment);
    this.finish(head, entry.sequence, keyEnd, segment.writeDoubleLE(entry.size, end));
    return encode(entry);
  }

  /** Writes the head and the key of a change behind those before it; answers where the key ends. */
  private start(head: Head, sequence: number, kind: number, key: string): number {
    const { segment, length } = this;
    const keyEnd = length + HEADER_BYTES + segment.write(key, length + HEADER_BYTES);
    segment.writeUInt16LE(kind, length);
    segment.writeUInt16LE(keyEnd - length - HEADER_BYTES, length + 2);
    segment.writeUInt32LE(head.epoch, length + 4);
    segment.writeDoubleLE(sequence, length + 8);
    return keyEnd;
  }

  /** The change that was started ends at `end`. */
  private finish(head: Head, sequence: number, keyEnd: number, end: number): void {
    this.segment.writeUInt32LE(end - keyEnd, this.length + 16);
    this.length = end;
    if (this.count++ === 0) this.first = sequence;
    this.last = sequence;
    if (this.length >= SEGMENT_BYTES) this.appendSegment(head);
  }

  private appendSegment({ epoch, log }: Head): void {
    if (this.count === 0) return;
    const { segment, length } = this;
    segment.writeUInt32LE(this.count, length);
    segment.writeUInt32LE(epoch, length + 4);
    segment.writeDoubleLE(this.last, length + 8);
    const end = length + TRAILER_BYTES;
    segment.writeUInt32LE(crc32(segment.subarray(0, end - CRC_BYTES)), end - CRC_BYTES);
    void this.store.log.put(this.first, segment.subarray(0, end), APPEND);
    log.count += this.count;
    log.bytes += end;
    this.begin();
  }
}

/** Reads the log. */
export class ChangeLogReader {
  constructor(private readonly store: Store) {}

  /**
   * Changes behind `position`, oldest first, some hundred KiB of them; undefined if the log cannot serve it: malformed,
   * dropped, from the future or from another life of the database.
   */
  after(position: string): Change[] | undefined {
    const from = parseTag(position);
    const head = this.store.readHead();
    if (!from || from.sequence > head.sequence || from.sequence < head.log.floor.sequence) return undefined;
    if (from.sequence === head.sequence) return from.epoch === head.epoch ? [] : undefined;
    const changes: LoggedChange[] = [];
    let before: Revision = head.log.floor;
    let bytes = 0;
    for (const { value: segment } of this.store.log.getRange({ start: this.segmentAt(from.sequence) })) {
      if (!isSound(segment)) {
        throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
      }
      const { last } = readTrailer(segment);
      if (last.sequence <= from.sequence) {
        before = last;
        continue;
      }
      for (const change of changesIn(segment)) {
        if (change.sequence > from.sequence) changes.push(change);
        else before = change;
      }
      bytes += segment.length;
      if (bytes >= READ_BYTES) break;
    }
    return liesBetween(from, before, changes[0] ?? head) ? changes : undefined;
  }

  /** The key of the last segment that begins at or before `sequence`. */
  private segmentAt(sequence: number): number {
    const [key] = this.store.log.getKeys({
      start: sequence,
      end: 0,
      reverse: true,
      inclusiveEnd: true,
      limit: 1,
    });
    return key ?? 0;
  }
}

/**
 * Whether a position is of this life of the database. One of no change, which a refused batch leaves behind, is so only if
 * it has the epoch of what comes after it: a life that was lost can have used the epoch of what came before.
 */
function liesBetween(position: Revision, before: Revision, after: Revision): boolean {
  return position.epoch === (position.sequence === before.sequence ? before : after).epoch;
}

/** Of a segment: how many changes it has, and the revision of the last. */
function readTrailer(segment: Buffer): { count: number; last: Revision } {
  const at = segment.length - TRAILER_BYTES;
  const last = { epoch: segment.readUInt32LE(at + 4), sequence: segment.readDoubleLE(at + 8) };
  return { count: segment.readUInt32LE(at), last };
}

function isSound(segment: Buffer): boolean {
  const sum = segment.length - CRC_BYTES;
  return sum >= TRAILER_BYTES && crc32(segment.subarray(0, sum)) === segment.readUInt32LE(sum);
}

function* changesIn(segment: Buffer): Iterable<LoggedChange> {
  const end = segment.length - TRAILER_BYTES;
  for (let at = 0; at < end;) {
    const keyEnd = at + HEADER_BYTES + segment.readUInt16LE(at + 2);
    const next = keyEnd + segment.readUInt32LE(at + 16);
    yield new LoggedChange(segment, at, keyEnd, next);
    at = next;
  }
}

/** A change in the log: a window on its segment. Most are read by somebody who looks at the key and goes on. */
class LoggedChange implements Change, Revision {
  readonly key: string;

  constructor(
    private readonly segment: Buffer,
    private readonly at: number,
    private readonly keyEnd: number,
    private readonly end: number,
  ) {
    this.key = segment.toString('utf8', at + HEADER_BYTES, keyEnd);
  }

  get kind(): Change['kind'] {
    switch (this.segment.readUInt16LE(this.at)) {
      case DELETE:
        return 'delete';
      case EXPIRE:
        return 'expire';
      default:
        return 'put';
    }
  }

  get epoch(): number {
    return this.segment.readUInt32LE(this.at + 4);
  }

  get sequence(): number {
    return this.segment.readDoubleLE(this.at + 8);
  }

  get position(): string {
    return formatTag(this.epoch, this.sequence);
  }

  get etag(): string {
    return this.position;
  }

  get entry(): EntryHeader | undefined {
    if (this.kind !== 'put') return undefined;
    if (!this.isLarge) return decode(this.key, this.segment.subarray(this.keyEnd, this.end));
    const { type, created, modified, expires, etag } = decode(
      this.key,
      this.segment.subarray(this.keyEnd, this.end - 8),
    );
    const size = this.segment.readDoubleLE(this.end - 8);
    return { key: this.key, type, size, etag, created, modified, expires };
  }

  get value(): Buffer | undefined {
    const { entry } = this;
    return entry && !this.isLarge ? (entry as StoredEntry).value : undefined;
  }

  private get isLarge(): boolean {
    return this.segment.readUInt16LE(this.at) === LARGE_PUT;
  }
}
