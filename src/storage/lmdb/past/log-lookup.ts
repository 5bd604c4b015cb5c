import { DatabaseError } from '../../../errors.js';
import { firstIndex } from '../../first-index.js';
import { Segment } from '../log-segment.js';
import { eachChange, LoggedChange } from '../logged-change.js';
import type { Store } from '../store.js';
import type { Tree } from '../tree.js';

/** 16 MiB, about. */
const SEGMENTS_KEPT = 256;

/** Returns the key of the last segment that begins at or before `sequence`, or 0. */
export function segmentAt(log: Tree<number>, sequence: number): number {
  const [key] = log.getKeys({ start: sequence, end: 0, reverse: true, inclusiveEnd: true, limit: 1 });
  return key ?? 0;
}

/** The changes of a segment, which become objects when they are asked for: most are passed over. */
class Changes {
  private readonly places: number[] = [];
  private readonly sequences: number[] = [];

  constructor(private readonly bytes: Buffer) {
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

  /** Returns the changes of the segment that has `sequence`, or that comes before it. @throws DatabaseError `corrupt` */
  around(store: Store, sequence: number): Changes {
    const key = segmentAt(store.log, sequence);
    const known = this.kept.get(key);
    if (known) {
      this.kept.delete(key);
      this.kept.set(key, known);
      return known;
    }
    const bytes = store.log.getBinary(key);
    if (!bytes) return NONE;
    const segment = Segment.parse(bytes);
    if (!segment) throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
    const changes = new Changes(segment.present());
    this.kept.set(key, changes);
    if (this.kept.size > SEGMENTS_KEPT) this.kept.delete(this.kept.keys().next().value!);
    return changes;
  }
}
