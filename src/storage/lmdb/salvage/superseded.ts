/** A leaf of the tree of entries as one transaction wrote it: its keys from the first to the last. */
export interface OldLeaf {
  readonly first: Buffer;
  readonly last: Buffer;
  readonly transaction: number;
}

/**
 * Finds keys that a later page does not have any more.
 *
 * Where the tree is lost, every page that ever was a leaf of it may be current or old. But a key that exists is in every
 * leaf between whose keys it lies; so one that a later leaf leaves out has been deleted when that leaf was written.
 */
export class Superseded {
  private next = 0;
  private open: OldLeaf[] = [];

  /** @param leaves sorted by their first keys */
  constructor(private readonly leaves: readonly OldLeaf[]) {}

  /** The last transaction that wrote a leaf around `key`; 0 if none. To be asked in the order of keys. */
  lastAround(key: Buffer): number {
    while (this.next < this.leaves.length && Buffer.compare(this.leaves[this.next]!.first, key) <= 0) {
      this.open.push(this.leaves[this.next++]!);
    }
    this.open = this.open.filter(({ last }) => Buffer.compare(last, key) >= 0);
    return this.open.reduce((latest, { transaction }) => Math.max(latest, transaction), 0);
  }
}
