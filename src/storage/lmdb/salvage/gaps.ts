import { firstIndex } from '../../first-index.js';
import { contains, type KeyRange } from '../pages/tree.js';

/** Ranges of keys, in any order and overlapping, asked for single keys. */
export class Gaps {
  private readonly ranges: KeyRange[] = [];
  private isSorted = true;

  add(range: KeyRange): void {
    this.ranges.push(range);
    this.isSorted = false;
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }

  has(key: Buffer): boolean {
    const range = this.lastFrom(key);
    return range !== undefined && contains(range, key);
  }

  /** Whether a key of `range` is in a gap. */
  touch({ from, to }: KeyRange): boolean {
    const range = to ? this.lastFrom(to) : this.ranges.at(-1);
    return range !== undefined && (range.to === undefined || Buffer.compare(range.to, from) > 0);
  }

  /** The last range that begins at `key` or before it. */
  private lastFrom(key: Buffer): KeyRange | undefined {
    if (!this.isSorted) this.sort();
    const after = firstIndex(this.ranges.length, (i) => Buffer.compare(this.ranges[i]!.from, key) > 0);
    return this.ranges[after - 1];
  }

  /** Sorts the ranges, and joins those that overlap. */
  private sort(): void {
    const sorted = this.ranges.splice(0).sort((a, b) => Buffer.compare(a.from, b.from));
    for (const range of sorted) {
      const last = this.ranges.at(-1);
      if (!last || (last.to && Buffer.compare(range.from, last.to) > 0)) this.ranges.push(range);
      else this.ranges[this.ranges.length - 1] = { from: last.from, to: later(last.to, range.to) };
    }
    this.isSorted = true;
  }
}

/** The later of two ends; undefined is after all. */
function later(a: Buffer | undefined, b: Buffer | undefined): Buffer | undefined {
  return a && b && (Buffer.compare(a, b) > 0 ? a : b);
}
