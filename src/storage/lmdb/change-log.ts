import { DatabaseError } from '../../errors.js';
import type { Revision } from '../revision.js';
import { parseTag } from '../revision.js';
import { MAX_STORED_KEY_BYTES } from '../entry.js';
import { goesOnAfter, LOOK_BACK_BYTES } from '../recent-change.js';
import { LOGGED_VALUE_BYTES, type Change } from '../storage-engine.js';
import { segmentAt } from './past/log-lookup.js';
import { Segment, TRAILER_BYTES, writeTrailer } from './log-segment.js';
import {
  BY,
  CHANGE_BYTES,
  DELETE,
  EXPIRE,
  LARGE_PUT,
  MOST_CHANGE_BYTES,
  PUT,
  REPLACES,
  SEQUENCE_BYTES,
  type LoggedChange,
} from './logged-change.js';
import {
  encode,
  encodeAfterKey,
  memoryOf,
  RECORD_BYTES,
  writeRevision,
  type RecordParts,
  type StoredEntry,
} from './record.js';
import type { Store, Transaction } from './store.js';
import type { Head } from './store-format.js';

/*
 * The change log in the store: segments of changes (log-segment.ts), appended in the transaction that makes the changes. The
 * key of a segment is the sequence of its first change.
 *
 * Problem: one log record for each write would double the records that LMDB stores. Design: the changes of a transaction
 * share segments of about 64 KiB, so a group commit of 64 writes usually appends one record. When the log exceeds its
 * bytes, whole segments are dropped, the oldest first: no count bounds it, so that a million entries that end in one second
 * are a million events for whoever comes again in the middle of them. The head of the store keeps the last dropped revision, the floor:
 * a reader whose position is before it has to start again. So has a reader from another life of the database.
 */
const SEGMENT_BYTES = 64 * 1024;
/** Size of the largest change: with the longest key, and the record of the largest value that is logged. */
const MAX_CHANGE_BYTES = MOST_CHANGE_BYTES + MAX_STORED_KEY_BYTES + RECORD_BYTES + 512 + LOGGED_VALUE_BYTES;
const READ_BYTES = 256 * 1024;
/** The cast is because the library's types accept only a version here. */
const APPEND = { append: true } as unknown as number;

/** What a change has beside what it does. */
interface Circumstances {
  /** The sequence of the put whose entry it replaces or removes: 0 if it is not known, undefined if there is no entry. */
  readonly replaces: number | undefined;
  /** Public id of the token that makes it. */
  readonly by: string | undefined;
}

/** What is kept for the records of large values: the largest value by default, and what its record has beside it. */
const KEPT_BYTES = 16 * 2 ** 20 + 4096;

/** Appends changes to the log, inside write transactions. */
export class ChangeLogWriter {
  /** The segment that is being filled. LMDB copies it, so all segments share this memory. */
  private readonly segment = Buffer.allocUnsafeSlow(SEGMENT_BYTES + MAX_CHANGE_BYTES + TRAILER_BYTES);
  private large = Buffer.alloc(0);
  private length = 0;
  /** Where the change that is being written begins. */
  private changeStart = 0;
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
  put(head: Head, entry: StoredEntry, circumstances: Circumstances): Buffer {
    if (entry.size > LOGGED_VALUE_BYTES) {
      this.putLarge(head, entry, circumstances);
      return encode(entry, this.memoryFor(entry));
    }
    const { segment } = this;
    const keyStart = this.startChange(PUT, entry.key, circumstances);
    const keyEnd = this.length;
    const end = encodeAfterKey(keyStart, keyEnd, entry, segment);
    this.finishChange(head, entry.sequence, end);
    return segment.subarray(keyEnd, end);
  }

  /** Adds a put of `entry`, whose value is too large for the log. */
  putLarge(head: Head, entry: StoredEntry, circumstances: Circumstances): void {
    const { segment } = this;
    const keyStart = this.startChange(LARGE_PUT, entry.key, circumstances);
    const valueless: RecordParts = { ...entry, value: segment.subarray(0, 0) };
    const end = encodeAfterKey(keyStart, this.length, valueless, segment);
    this.finishChange(head, entry.sequence, segment.writeDoubleLE(entry.size, end));
  }

  /** Returns memory for the record of a large value, which is kept for the next: LMDB copies it, and new memory is dear. */
  private memoryFor(entry: StoredEntry): Buffer {
    const bytes = memoryOf(entry);
    if (bytes > KEPT_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.large.length) this.large = Buffer.allocUnsafeSlow(bytes);
    return this.large;
  }

  /** Adds a delete, or an expiry. */
  remove(head: Head, sequence: number, key: string, expired: boolean, circumstances: Circumstances): void {
    this.startChange(expired ? EXPIRE : DELETE, key, circumstances);
    const { epoch, now } = head;
    this.finishChange(head, sequence, writeRevision(this.segment, this.length, epoch, sequence, now));
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
    const { count, last } = Segment.parse(segment) ?? estimate;
    log.floor = last;
    log.count -= count;
    log.bytes -= segment.length;
    void this.store.log.remove(key);
    return true;
  }

  /** Adds the header and the key of a change to the segment, and moves to where the key ends. Returns where it begins. */
  private startChange(kind: number, key: string, { replaces, by }: Circumstances): number {
    const { segment, length: start } = this;
    let at = start + CHANGE_BYTES;
    if (replaces !== undefined) at = segment.writeUIntLE(replaces, at, SEQUENCE_BYTES);
    if (by !== undefined) {
      const end = at + 1 + segment.write(by, at + 1, 255, 'latin1');
      segment[at] = end - at - 1;
      at = end;
    }
    this.changeStart = start;
    this.length = at + segment.write(key, at);
    segment[start] = kind;
    segment[start + 1] = (replaces === undefined ? 0 : REPLACES) | (by === undefined ? 0 : BY);
    segment.writeUInt16LE(this.length - at, start + 2);
    return at;
  }

  /** Ends the change that was started at `end`. */
  private finishChange(head: Head, sequence: number, end: number): void {
    this.segment.writeUInt32LE(end - this.length, this.changeStart + 4);
    this.length = end;
    if (this.count++ === 0) this.first = sequence;
    this.last = sequence;
    if (this.length >= SEGMENT_BYTES) this.flush(head);
  }

  /** Appends what has been added as a segment. */
  flush({ epoch, log }: Head): void {
    if (this.count === 0) return;
    const { segment, count, last: sequence } = this;
    const end = writeTrailer(segment, this.length, count, { epoch, sequence });
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
    for (const { value } of this.store.log.getRange({ start: segmentAt(this.store.log, start.sequence) })) {
      const segment = Segment.parse(value);
      if (!segment) throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
      const { last } = segment;
      if (last.sequence <= start.sequence) {
        before = last;
        continue;
      }
      for (const change of segment.changes()) {
        if (change.sequence > start.sequence) changes.push(change);
        else before = change;
      }
      bytes += value.length;
      if (bytes >= READ_BYTES) break;
    }
    return isOfThisLife(start, before, changes[0] ?? head) ? changes : undefined;
  }

  /** Returns the newest changes of keys that go on after `prefix`, newest first. It passes over damaged segments. */
  *newest(limit: number, prefix: string, transaction: Transaction): Generator<void, LoggedChange[]> {
    const found: LoggedChange[] = [];
    let bytes = 0;
    for (const { value } of this.store.log.getRange({ reverse: true, transaction })) {
      const changes = [...(Segment.parse(value)?.changes() ?? [])];
      found.push(...changes.filter(({ key }) => goesOnAfter(key, prefix)).toReversed());
      bytes += value.length;
      if (found.length >= limit || bytes >= LOOK_BACK_BYTES) break;
      yield;
    }
    return found.slice(0, limit);
  }

  /** Returns when the oldest change was made; undefined if there is none, or it is damaged. */
  oldestTime(): number | undefined {
    const [key] = this.store.log.getKeys({ start: 0, limit: 1 });
    const segment = key === undefined ? undefined : this.store.log.getBinary(key);
    const [oldest] = (segment && Segment.parse(segment)?.changes()) ?? [];
    return oldest?.time;
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
