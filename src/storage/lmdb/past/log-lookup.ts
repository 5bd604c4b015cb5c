import { DatabaseError } from '../../../errors.js';
import { firstIndex } from '../../first-index.js';
import { Segment } from '../log-segment.js';
import type { LoggedChange } from '../logged-change.js';
import type { Store } from '../store.js';
import type { Tree } from '../tree.js';

/** Some MiB: changes of one key lie near each other more often than not. */
const SEGMENTS_KEPT = 32;

/** Returns the key of the last segment that begins at or before `sequence`, or 0. */
export function segmentAt(log: Tree<number>, sequence: number): number {
  const [key] = log.getKeys({ start: sequence, end: 0, reverse: true, inclusiveEnd: true, limit: 1 });
  return key ?? 0;
}

/** Finds single changes in the log by their sequences. A segment that has been committed never changes. */
export class LogLookup {
  private readonly kept = new Map<number, readonly LoggedChange[]>();

  /** Returns the change of this sequence; undefined if the log has none. @throws DatabaseError `corrupt` */
  find(store: Store, sequence: number): LoggedChange | undefined {
    const changes = this.around(store, sequence);
    const change = changes[firstIndex(changes.length, (i) => changes[i]!.sequence >= sequence)];
    return change?.sequence === sequence ? change : undefined;
  }

  /** Returns the changes of the segment that has `sequence`, or that comes before it. @throws DatabaseError `corrupt` */
  around(store: Store, sequence: number): readonly LoggedChange[] {
    const key = segmentAt(store.log, sequence);
    const known = this.kept.get(key);
    if (known) {
      this.kept.delete(key);
      this.kept.set(key, known);
      return known;
    }
    const bytes = store.log.getBinary(key);
    if (!bytes) return [];
    const segment = Segment.parse(bytes);
    if (!segment) throw new DatabaseError('corrupt', 'A segment of the change log fails its checksum.');
    const changes = [...segment.changes()];
    this.kept.set(key, changes);
    if (this.kept.size > SEGMENTS_KEPT) this.kept.delete(this.kept.keys().next().value!);
    return changes;
  }
}
