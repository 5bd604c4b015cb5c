import { crc32 } from 'node:zlib';
import { DatabaseError } from '../../errors.js';
import type { Revision } from '../revision.js';
import { formatTag, parseTag } from '../revision.js';
import { MAX_STORED_KEY_BYTES, type EntryHeader } from '../entry.js';
import { LOGGED_VALUE_BYTES, type Change } from '../storage-engine.js';
import {
  decode,
  encode,
  encodeAfterKey,
  RECORD_BYTES,
  type RecordParts,
  type StoredEntry,
} from './record.js';
import type { Store } from './store.js';
import type { Head } from './store-format.js';

/*
 * The change log in the store: segments of changes, appended in the transaction that makes the changes. The key of a
 * segment is the sequence of its first change.
 *
 * Problem: one log record for each write would double the records that LMDB stores. Design: the changes of a transaction
 * share segments of about 64 KiB, so a group commit of 64 writes usually appends one record. When the log exceeds its
 * bytes, whole segments are dropped, the oldest first: no count bounds it, so that a million entries that end in one second
 * are a million events for whoever comes again in the middle of them. The head of the store keeps the last dropped revision, the floor:
 * a reader whose position is before it has to start again. So has a reader from another life of the database.
 *
 * A segment is a list of changes and a trailer: the number of changes, u32; the epoch, u32, and the sequence, f64, of the
 * last change; the CRC-32 of everything before it. A change, little-endian:
 *
 *    0  u8   kind: 1 put, 2 delete, 3 expire, 4 large put, whose value is not logged
 *    1  u8   0
 *    2  u16  length of the key
 *    4  u32  epoch
 *    8  f64  sequence
 *   16  u32  length of what follows the key
 *   20  …    the key; for a put, the entry's record (record.ts)
 *    …  f64  for a large put, whose record has no value: the size of the value
 */
const PUT = 1;
const DELETE = 2;
const EXPIRE = 3;
const LARGE_PUT = 4;
const HEADER_BYTES = 20;
const CRC_BYTES = 4;
const TRAILER_BYTES = 16 + CRC_BYTES;
const SEGMENT_BYTES = 64 * 1024;
/** Size of the largest change: its header, the longest key, and the record of the largest value that is logged. */
const MAX_CHANGE_BYTES = HEADER_BYTES + MAX_STORED_KEY_BYTES + RECORD_BYTES + 512 + LOGGED_VALUE_BYTES;
const READ_BYTES = 256 * 1024;
/** The cast is because the library's types accept only a version here. */
const APPEND = { append: true } as unknown as number;

/** Appends changes to the log, inside write transactions. */
export class ChangeLogWriter {
  /** The segment that is being filled. LMDB copies it, so all segments share this memory. */
  private readonly segment = Buffer.allocUnsafeSlow(SEGMENT_BYTES + MAX_CHANGE_BYTES + TRAILER_BYTES);
  private length = 0;
  private count = 0;
  private first = 0;
  private last = 0;

  constructor(
    private readonly store: Store,
    private readonly maxBytes: number,
  ) {}

  /** Begins a transaction, without what one that was rolled back has left. */
  begin(): void {
    this.length = 0;
    this.count = 0;
  }

  /** Adds a put of `entry`. Returns the entry's record, in memory that the next change overwrites. */
  put(head: Head, entry: StoredEntry): Buffer {
    if (entry.size > LOGGED_VALUE_BYTES) return this.putLarge(head, entry);
    const { segment } = this;
    const keyEnd = this.startChange(head, entry.sequence, PUT, entry.key);
    const end = encodeAfterKey(this.length + HEADER_BYTES, keyEnd, entry, segment);
    this.finishChange(head, entry.sequence, keyEnd, end);
    return segment.subarray(keyEnd, end);
  }

  /** Adds a delete, or an expiry. */
  remove(head: Head, sequence: number, key: string, expired: boolean): void {
    const keyEnd = this.startChange(head, sequence, expired ? EXPIRE : DELETE, key);
    this.finishChange(head, sequence, keyEnd, keyEnd);
  }

  /** Drops old segments until the log is within its bounds. */
  trim(head: Head): void {
    const { log } = head;
    while (log.bytes > this.maxBytes) if (!this.dropFirst(head)) return;
  }

  /** Drops the oldest segment. Returns false if there is none that can be found. */
  private dropFirst({ epoch, sequence, log }: Head): boolean {
    const [key, next = sequence + 1] = this.store.log.getKeys({ start: 0, limit: 2 });
    const segment = key === undefined ? undefined : this.store.log.borrow(key);
    if (key === undefined || !segment) return false;
    // The trailer of a damaged segment could close the log for ever. Keys and counts say nearly the same as it.
    const estimate = { count: Math.min(next - key, log.count), last: { epoch, sequence: next - 1 } };
    const { count, last } = isSound(segment) ? readTrailer(segment) : estimate;
    log.floor = last;
    log.count -= count;
    log.bytes -= segment.length;
    void this.store.log.remove(key);
    return true;
  }

  private putLarge(head: Head, entry: StoredEntry): Buffer {
    const { segment } = this;
    const keyEnd = this.startChange(head, entry.sequence, LARGE_PUT, entry.key);
    const valueless: RecordParts = { ...entry, value: segment.subarray(0, 0) };
    const end = encodeAfterKey(this.length + HEADER_BYTES, keyEnd, valueless, segment);
    this.finishChange(head, entry.sequence, keyEnd, segment.writeDoubleLE(entry.size, end));
    return encode(entry);
  }

  /** Adds the header and the key of a change to the segment. Returns where the key ends. */
  private startChange(head: Head, sequence: number, kind: number, key: string): number {
    const { segment, length } = this;
    const keyEnd = length + HEADER_BYTES + segment.write(key, length + HEADER_BYTES);
    segment.writeUInt16LE(kind, length);
    segment.writeUInt16LE(keyEnd - length - HEADER_BYTES, length + 2);
    segment.writeUInt32LE(head.epoch, length + 4);
    segment.writeDoubleLE(sequence, length + 8);
    return keyEnd;
  }

  /** Ends the change that was started at `end`. */
  private finishChange(head: Head, sequence: number, keyEnd: number, end: number): void {
    this.segment.writeUInt32LE(end - keyEnd, this.length + 16);
    this.length = end;
    if (this.count++ === 0) this.first = sequence;
    this.last = sequence;
    if (this.length >= SEGMENT_BYTES) this.flush(head);
  }

  /** Appends what has been added as a segment. */
  flush({ epoch, log }: Head): void {
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

/** Reads changes from the log. */
export class ChangeLogReader {
  constructor(private readonly store: Store) {}

  /**
   * Returns changes after `position`, oldest first, some hundred KiB of them. Returns undefined if the log cannot serve
   * the position: it is malformed, has left the log, is in the future or belongs to another life of the database.
   *
   * @throws DatabaseError `corrupt`
   */
  after(position: string): Change[] | undefined {
    const start = parseTag(position);
    const head = this.store.readHead();
    if (!start || start.sequence > head.sequence || start.sequence < head.log.floor.sequence)
      return undefined;
    if (start.sequence === head.sequence) return start.epoch === head.epoch ? [] : undefined;
    const changes: LoggedChange[] = [];
    let before: Revision = head.log.floor;
    let bytes = 0;
    for (const { value: segment } of this.store.log.getRange({ start: this.segmentAt(start.sequence) })) {
      if (!isSound(segment)) {
        throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
      }
      const { last } = readTrailer(segment);
      if (last.sequence <= start.sequence) {
        before = last;
        continue;
      }
      for (const change of changesIn(segment)) {
        if (change.sequence > start.sequence) changes.push(change);
        else before = change;
      }
      bytes += segment.length;
      if (bytes >= READ_BYTES) break;
    }
    return isOfThisLife(start, before, changes[0] ?? head) ? changes : undefined;
  }

  /** Returns the key of the last segment that begins at or before `sequence`, or 0. */
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
 * Returns whether `position` belongs to this life of the database, given the changes before and after it.
 *
 * A position between two changes, which a refused batch leaves, must have the epoch of the change after it. A lost life
 * of the database can have used the epoch of the change before it.
 */
function isOfThisLife(position: Revision, before: Revision, after: Revision): boolean {
  return position.epoch === (position.sequence === before.sequence ? before : after).epoch;
}

/** Returns how many changes a segment has, and the revision of the last one. */
export function readTrailer(segment: Buffer): { count: number; last: Revision } {
  const at = segment.length - TRAILER_BYTES;
  const last = { epoch: segment.readUInt32LE(at + 4), sequence: segment.readDoubleLE(at + 8) };
  return { count: segment.readUInt32LE(at), last };
}

export function isSound(segment: Buffer): boolean {
  const sum = segment.length - CRC_BYTES;
  return sum >= TRAILER_BYTES && crc32(segment.subarray(0, sum)) === segment.readUInt32LE(sum);
}

export function* changesIn(segment: Buffer): Iterable<LoggedChange> {
  const end = segment.length - TRAILER_BYTES;
  for (let at = 0; at < end;) {
    const keyEnd = at + HEADER_BYTES + segment.readUInt16LE(at + 2);
    const next = keyEnd + segment.readUInt32LE(at + 16);
    yield new LoggedChange(segment, at, keyEnd, next);
    at = next;
  }
}

/** A change in the log: a view of its segment, because most readers look at the key and skip the rest. */
export class LoggedChange implements Change, Revision {
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

  /** Whether it is a put whose value the log does not keep. */
  get isLarge(): boolean {
    return this.segment.readUInt16LE(this.at) === LARGE_PUT;
  }
}
