import type { RangeOptions } from 'lmdb';
import { DatabaseError } from '../../../errors.js';
import { firstIndex } from '../../first-index.js';
import { Segment } from '../log-segment.js';
import { eachChange, LoggedChange } from '../logged-change.js';
import type { Store } from '../store.js';
import type { Tree } from '../tree.js';

/** 16 MiB, about. */
const SEGMENTS_KEPT = 256;
/** What is looked through for a change nearby, about a millisecond: of large segments, or of those with a change each. */
const BYTES_NEAR = 512 * 1024;
const SEGMENTS_NEAR = 128;

/** Returns the key of the last segment that begins at or before `sequence`, or 0. */
export function segmentAt(log: Tree<number>, sequence: number): number {
  const [key] = log.getKeys({ start: sequence, end: 0, reverse: true, inclusiveEnd: true, limit: 1 });
  return key ?? 0;
}

/** The changes of a segment, which become objects when they are asked for: most are passed over. */
class Changes {
  private readonly places: number[] = [];
  private readonly sequences: number[] = [];

  constructor(readonly bytes: Buffer) {
    eachChange(bytes, (at, sequence) => {
      this.places.push(at);
      this.sequences.push(sequence);
    });
  }

  find(sequence: number): LoggedChange | undefined {
    const { sequences } = this;
    const index = firstIndex(sequences.length, (i) => sequences[i]! >= sequence);
    return sequences[index] === sequence ? this.at(index) : undefined;
  }

  /** Returns the last change of a key up to `sequence`. */
  lastOf(key: Buffer, sequence: number): LoggedChange | undefined {
    const end = firstIndex(this.sequences.length, (i) => this.sequences[i]! > sequence);
    for (let i = end - 1; i >= 0; i--) {
      const change = this.at(i);
      if (change.isOf(key)) return change;
    }
    return undefined;
  }

  /** Returns the first put of a key after `sequence`. */
  putOf(key: Buffer, sequence: number): LoggedChange | undefined {
    const { length } = this.sequences;
    for (let i = firstIndex(length, (j) => this.sequences[j]! > sequence); i < length; i++) {
      const change = this.at(i);
      if (change.kind === 'put' && change.isOf(key)) return change;
    }
    return undefined;
  }

  get first(): LoggedChange | undefined {
    return this.places.length === 0 ? undefined : this.at(0);
  }

  /** Returns the last change that was made by `time`. */
  lastBy(time: number): LoggedChange | undefined {
    const index = firstIndex(this.places.length, (i) => this.at(i).time > time);
    return index === 0 ? undefined : this.at(index - 1);
  }

  private at(index: number): LoggedChange {
    return new LoggedChange(this.bytes, this.places[index]!);
  }
}

const NONE = new Changes(Buffer.alloc(0));

/** Finds single changes in the log by their sequences. A segment that has been committed never changes. */
export class LogLookup {
  private readonly kept = new Map<number, Changes>();

  /** Returns the change of this sequence; undefined if the log has none. @throws DatabaseError `corrupt` */
  find(store: Store, sequence: number): LoggedChange | undefined {
    return this.around(store, sequence).find(sequence);
  }

  /** Returns the last change of a key up to `sequence`, if it is nearby and nothing between is damaged. */
  lastNear(store: Store, key: Buffer, sequence: number): LoggedChange | undefined {
    for (const changes of this.near(store, { start: sequence, end: 0, reverse: true, inclusiveEnd: true })) {
      const found = changes.lastOf(key, sequence);
      if (found) return found;
    }
    return undefined;
  }

  /** Returns the first put of a key after `sequence`, if it is nearby and nothing between is damaged. */
  putNear(store: Store, key: Buffer, sequence: number): LoggedChange | undefined {
    for (const changes of this.near(store, { start: segmentAt(store.log, sequence) })) {
      const found = changes.putOf(key, sequence);
      if (found) return found;
    }
    return undefined;
  }

  private *near(store: Store, range: RangeOptions): Iterable<Changes> {
    let bytes = 0;
    for (const segment of store.log.getKeys({ ...range, limit: SEGMENTS_NEAR })) {
      const changes = this.read(store, segment);
      if (!changes) return;
      yield changes;
      bytes += changes.bytes.length;
      if (bytes >= BYTES_NEAR) return;
    }
  }

  /** Returns the changes of the segment that has `sequence`, or that comes before it. @throws DatabaseError `corrupt` */
  around(store: Store, sequence: number): Changes {
    const changes = this.read(store, segmentAt(store.log, sequence));
    if (!changes) throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
    return changes;
  }

  /** Returns the changes of a segment; undefined if it is damaged. */
  private read(store: Store, key: number): Changes | undefined {
    const known = this.kept.get(key);
    if (known) {
      this.kept.delete(key);
      this.kept.set(key, known);
      return known;
    }
    const bytes = store.log.getBinary(key);
    if (!bytes) return NONE;
    const segment = Segment.parse(bytes);
    if (!segment) return undefined;
    const changes = new Changes(segment.present());
    this.kept.set(key, changes);
    if (this.kept.size > SEGMENTS_KEPT) this.kept.delete(this.kept.keys().next().value!);
    return changes;
  }
}
