import { giveWay } from '../../event-loop.js';

/** Pieces that are compared before others have their turn, which takes about a millisecond at most. */
const COMPARED_AT_ONCE = 65_536;

/** Pieces of one memory: piece `i` goes from `starts[i]` up to, not including, `ends[i]`. */
interface Pieces {
  readonly memory: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/**
 * Returns the numbers of the first `count` pieces in the order of their bytes; equal ones keep their order.
 *
 * Multikey quicksort (Bentley and Sedgewick, "Fast Algorithms for Sorting and Searching Strings", 1997): it splits into
 * three parts by one byte at a time, so no piece becomes a string and no byte is compared again.
 */
export async function inByteOrder({ memory, starts, ends }: Pieces, count: number): Promise<Uint32Array> {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  /** Parts to sort, three numbers each: from `low` up to `high`, whose first `depth` bytes are the same. */
  const parts = [0, count, 0];
  let compared = 0;
  while (parts.length > 0) {
    const depth = parts.pop()!;
    const high = parts.pop()!;
    const low = parts.pop()!;
    if (high - low < 2) continue;
    compared += high - low;
    if (compared > COMPARED_AT_ONCE) {
      compared = 0;
      await giveWay();
    }
    /** Returns 0 at the end of a piece, which comes before every byte. */
    const byteOf = (piece: number): number => {
      const at = starts[piece]! + depth;
      return at < ends[piece]! ? memory[at]! + 1 : 0;
    };
    // A random pivot: nobody can choose keys for which it is always the worst.
    const pivot = byteOf(order[low + Math.floor(Math.random() * (high - low))]!);
    let less = low;
    let more = high;
    for (let i = low; i < more;) {
      const piece = order[i]!;
      const byte = byteOf(piece);
      if (byte < pivot) {
        order[i++] = order[less]!;
        order[less++] = piece;
      } else if (byte > pivot) {
        order[i] = order[--more]!;
        order[more] = piece;
      } else i++;
    }
    parts.push(low, less, depth, more, high, depth);
    if (pivot > 0) parts.push(less, more, depth + 1);
    else order.subarray(less, more).sort();
  }
  return order;
}
