/** What is used of a map of members, in the order in which their names came first. */
export interface MemberMap<V> extends Iterable<[string, V]> {
  readonly size: number;
  get(name: string): V | undefined;
  has(name: string): boolean;
  set(name: string, value: V): unknown;
  delete(name: string): boolean;
  keys(): Iterable<string>;
}

/** A map doubles its table all at once, which takes 3 ms at so many entries, and 50 at 100,000. */
const PIECE_ENTRIES = 8192;

/** The members of an object that may have a hundred thousand: a map in pieces, none of which takes long to grow. */
export class ManyMembers<V> implements MemberMap<V> {
  private last = new Map<string, V>();
  private readonly pieces = [this.last];

  get size(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.size, 0);
  }

  get(name: string): V | undefined {
    return this.pieceOf(name)?.get(name);
  }

  has(name: string): boolean {
    return this.pieceOf(name) !== undefined;
  }

  set(name: string, value: V): void {
    const piece = this.pieceOf(name);
    if (!piece && this.last.size >= PIECE_ENTRIES) this.pieces.push((this.last = new Map()));
    (piece ?? this.last).set(name, value);
  }

  delete(name: string): boolean {
    return this.pieceOf(name)?.delete(name) ?? false;
  }

  *keys(): Iterable<string> {
    for (const piece of this.pieces) yield* piece.keys();
  }

  *[Symbol.iterator](): Iterator<[string, V]> {
    for (const piece of this.pieces) yield* piece;
  }

  private pieceOf(name: string): Map<string, V> | undefined {
    for (const piece of this.pieces) if (piece.has(name)) return piece;
    return undefined;
  }
}
