import { firstIndex } from './first-index.js';
import type { RecentChange } from './recent-change.js';
import { goesOnAfter, recentChange } from './recent-change.js';
import { parseTag } from './revision.js';
import { changes } from './storage-meters.js';
import type { Change } from './storage-engine.js';

const MAX_CHANGES = 100_000;
const MAX_BYTES = 64 * 2 ** 20;
const READ_CHANGES = 1000;
const READ_BYTES = 256 * 1024;

/** A change, and whether its key had no entry before. */
export type MemoryChange = Change & { readonly creates: boolean };

/** The change log in an array. */
export class MemoryLog {
  /** Oldest first. */
  readonly changes: MemoryChange[] = [];
  /** Size of the keys and values in it, bytes. */
  bytes = 0;
  /** The last sequence that it no longer holds. */
  floor: number;

  /** @param begin the sequence after which the database began */
  constructor(private readonly begin: number) {
    this.floor = begin;
  }

  /** Whether it has dropped changes. */
  get isCut(): boolean {
    return this.floor > this.begin;
  }

  /** Adds a change, and drops the oldest ones while there is too much. */
  add(change: MemoryChange): void {
    changes.by[change.kind]++;
    this.changes.push(change);
    this.bytes += sizeOf(change);
    while (this.changes.length > MAX_CHANGES || this.bytes > MAX_BYTES) {
      const dropped = this.changes.shift()!;
      this.bytes -= sizeOf(dropped);
      this.floor = parseTag(dropped.position)!.sequence;
    }
  }

  /** Takes the changes after `position` back. */
  undoAfter(position: string): void {
    while (this.changes.length > 0 && this.changes.at(-1)!.position > position)
      this.bytes -= sizeOf(this.changes.pop()!);
  }

  /** Returns changes after `position`, as many as are read at once. */
  after(position: string): Change[] {
    const found: Change[] = [];
    let bytes = 0;
    const first = firstIndex(this.changes.length, (i) => this.changes[i]!.position > position);
    for (let i = first; i < this.changes.length; i++) {
      if (found.length === READ_CHANGES || bytes >= READ_BYTES) break;
      found.push(this.changes[i]!);
      bytes += sizeOf(this.changes[i]!);
    }
    return found;
  }

  /** Returns the newest changes of keys that go on after `prefix`, newest first. */
  newest(limit: number, prefix: string): RecentChange[] {
    return this.changes
      .filter(({ key }) => goesOnAfter(key, prefix))
      .slice(-limit)
      .toReversed()
      .map(recentChange);
  }
}

function sizeOf({ key, value }: Change): number {
  return key.length + (value?.length ?? 0);
}
