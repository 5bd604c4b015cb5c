import type { EntryHeader } from '../entry.js';
import { formatTag, type Revision } from '../revision.js';
import type { Change } from '../storage-engine.js';
import { decode, REVISION_AT, REVISION_BYTES, type StoredEntry } from './record.js';

/*
 * A change in the log. Numbers are little-endian:
 *
 *    0  u8   kind: 1 put, 2 delete, 3 expire, 4 large put, whose value is not logged; readers pass over others
 *    1  u8   flags: REPLACES, BY
 *    2  u16  length of the key
 *    4  u32  length of what follows the key
 *    8  u48  only with REPLACES: the sequence of the put whose entry was replaced or removed; 0 if it is not known
 *    …  u8   only with BY: length of the public id of the token that made it, then the id in Latin-1
 *    …       the key
 *    …       of a put: the entry's record (record.ts), which has the revision and the time; if it is large, that has no value,
 *            and a f64 follows with its size
 *    …       of a removal: its revision and time, in the form of a record; what may be before them is skipped
 *
 * The log is also the history of the database: what a key was at a time, who changed it, and what it takes to put it back.
 * So a change says when and by whom it was made, and leads to the one before it: a segment is found by a sequence, so that one
 * key's history costs what it shows. What was replaced is in the log where it was put, as far as the log goes back, and is not
 * repeated; a value that is too large for the log has its size and tag there. A put that creates an entry leads nowhere, and
 * nothing leads to the removal of a key that has no entry: the index of removals does (removals.ts).
 */
export const PUT = 1;
export const DELETE = 2;
export const EXPIRE = 3;
export const LARGE_PUT = 4;
export const REPLACES = 1;
export const BY = 2;
export const CHANGE_BYTES = 8;
export const SEQUENCE_BYTES = 6;
export const SIZE_BYTES = 8;
/** Most bytes that a change has beside its key and its record. */
export const MOST_CHANGE_BYTES = CHANGE_BYTES + SEQUENCE_BYTES + 1 + 255 + REVISION_BYTES + SIZE_BYTES;

/** Visits the changes in a segment that this version knows, by where they begin and their sequences. */
export function eachChange(segment: Buffer, visit: (at: number, sequence: number) => void): void {
  for (let at = 0; at < segment.length;) {
    const kind = segment[at]!;
    const flags = segment[at + 1]!;
    let keyStart = at + CHANGE_BYTES + ((flags & REPLACES) === 0 ? 0 : SEQUENCE_BYTES);
    if ((flags & BY) !== 0) keyStart += 1 + segment[keyStart]!;
    const keyEnd = keyStart + segment.readUInt16LE(at + 2);
    const end = keyEnd + segment.readUInt32LE(at + 4);
    const revisionAt = kind === DELETE || kind === EXPIRE ? end - REVISION_BYTES : keyEnd + REVISION_AT;
    if (kind >= PUT && kind <= LARGE_PUT)
      visit(at, segment.readUInt32LE(revisionAt + 4) + segment.readUInt16LE(revisionAt + 8) * 2 ** 32);
    at = end;
  }
}

/** A change in the log: a view of its segment, because most readers look at the key and skip the rest. */
export class LoggedChange implements Change, Revision {
  private readonly keyStart: number;
  private readonly keyEnd: number;
  /** Where its revision is, and after that its time. */
  private readonly revisionAt: number;
  /** Where the next change begins. */
  readonly end: number;
  private text: string | undefined;

  constructor(
    private readonly segment: Buffer,
    private readonly at: number,
  ) {
    this.keyStart = this.byAt + (this.has(BY) ? 1 + segment[this.byAt]! : 0);
    this.keyEnd = this.keyStart + segment.readUInt16LE(at + 2);
    this.end = this.keyEnd + segment.readUInt32LE(at + 4);
    this.revisionAt = this.kind === 'put' ? this.keyEnd + REVISION_AT : this.end - REVISION_BYTES;
  }

  /** Decoded when it is asked for: who looks for one change passes over many. */
  get key(): string {
    return (this.text ??= this.segment.toString('utf8', this.keyStart, this.keyEnd));
  }

  /** Whether it is a change of the key with these bytes. */
  isOf(key: Buffer): boolean {
    return (
      key.length === this.keyEnd - this.keyStart &&
      key.compare(this.segment, this.keyStart, this.keyEnd) === 0
    );
  }

  /** Whether this version knows what it is. */
  get isKnown(): boolean {
    return this.segment[this.at]! >= PUT && this.segment[this.at]! <= LARGE_PUT;
  }

  get kind(): Change['kind'] {
    switch (this.segment[this.at]) {
      case DELETE:
        return 'delete';
      case EXPIRE:
        return 'expire';
      default:
        return 'put';
    }
  }

  get epoch(): number {
    return this.segment.readUInt32LE(this.revisionAt);
  }

  get sequence(): number {
    return this.segment.readUIntLE(this.revisionAt + 4, SEQUENCE_BYTES);
  }

  get time(): number {
    return this.segment.readUIntLE(this.revisionAt + 10, 6);
  }

  get by(): string | undefined {
    if (!this.has(BY)) return undefined;
    return this.segment.toString('latin1', this.byAt + 1, this.byAt + 1 + this.segment[this.byAt]!);
  }

  /** The sequence of the put whose entry it replaced or removed: 0 if that is not known, undefined if there was no entry. */
  get replaces(): number | undefined {
    return this.has(REPLACES) ? this.segment.readUIntLE(this.at + CHANGE_BYTES, SEQUENCE_BYTES) : undefined;
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
    const sizeAt = this.end - SIZE_BYTES;
    const { type, created, modified, expires, etag } = decode(
      this.key,
      this.segment.subarray(this.keyEnd, sizeAt),
    );
    const size = this.segment.readDoubleLE(sizeAt);
    return { key: this.key, type, size, etag, created, modified, expires };
  }

  get value(): Buffer | undefined {
    const { entry } = this;
    return entry && !this.isLarge ? (entry as StoredEntry).value : undefined;
  }

  /** Whether it is a put whose value the log does not keep. */
  get isLarge(): boolean {
    return this.segment[this.at] === LARGE_PUT;
  }

  private get byAt(): number {
    return this.at + CHANGE_BYTES + (this.has(REPLACES) ? SEQUENCE_BYTES : 0);
  }

  private has(flag: number): boolean {
    return (this.segment[this.at + 1]! & flag) !== 0;
  }
}
