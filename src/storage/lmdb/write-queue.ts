import type { LargeRecord } from './large-record.js';
import type { Unit } from './unit.js';

const MAX_BYTES = 64 * 2 ** 20;
/** Counted for each unit beside its values, so that many small ones are bounded, too. */
const UNIT_BYTES = 1024;
const MAX_COMMIT_UNITS = 1024;
const MAX_COMMIT_BYTES = 16 * 2 ** 20;
/** Of units without large records, which are copied on this thread, bytes. */
const MAX_COPIED_BYTES = 4 * 2 ** 20;

/** The units that wait for a transaction, the oldest first: at most 64 MiB, or one that is larger. */
export class WriteQueue {
  /** Bytes. */
  readonly limit = MAX_BYTES;
  private readonly units: Unit[] = [];
  private announced = new Set<Unit>();
  /** What those that wait take. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.units.length === 0;
  }

  /** Whether there is space for a unit of `bytes`. */
  fits(bytes: number): boolean {
    return this.isEmpty || this.bytes + bytes + UNIT_BYTES <= this.limit;
  }

  add(unit: Unit): void {
    this.units.push(unit);
    this.bytes += unit.bytes + UNIT_BYTES;
  }

  /** Puts units that were taken, and not applied, before all others. */
  putBack(units: readonly Unit[]): void {
    this.units.unshift(...units);
    for (const { bytes } of units) this.bytes += bytes + UNIT_BYTES;
  }

  /** Returns the large records that the next transaction may bring, and has to know before it begins. */
  announce(): readonly LargeRecord[] {
    const next = this.units.slice(0, this.countForCommit());
    this.announced = new Set(next.filter(({ large }) => large.length > 0));
    return [...this.announced].flatMap(({ large }) => large);
  }

  /**
   * Takes as many units as fit one transaction, at least one unless that has large records that were not announced: units
   * may have left since, and others may have come.
   */
  takeForCommit(): Unit[] {
    const unknown = this.units.findIndex((unit) => unit.large.length > 0 && !this.announced.has(unit));
    const count = this.countForCommit();
    this.announced = new Set();
    return this.take(unknown < 0 ? count : Math.min(count, unknown));
  }

  private countForCommit(): number {
    let [count, bytes, copied] = [0, 0, 0];
    for (const unit of this.units) {
      if (count === MAX_COMMIT_UNITS || bytes >= MAX_COMMIT_BYTES || copied >= MAX_COPIED_BYTES) break;
      // A transaction gets ready for pauses before it changes anything.
      if (unit.steps && count > 0) break;
      count++;
      bytes += unit.bytes;
      if (unit.large.length === 0) copied += unit.bytes;
    }
    return count;
  }

  /** Takes the units that have begun to wait before `second`. */
  takeOlder(second: number): Unit[] {
    const younger = this.units.findIndex(({ since }) => since >= second);
    return this.take(younger < 0 ? this.units.length : younger);
  }

  takeAll(): Unit[] {
    return this.take(this.units.length);
  }

  private take(count: number): Unit[] {
    const taken = this.units.splice(0, count);
    for (const { bytes } of taken) this.bytes -= bytes + UNIT_BYTES;
    return taken;
  }
}
