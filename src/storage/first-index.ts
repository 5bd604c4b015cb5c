/**
 * Returns the first of `length` indexes for which `holds` is true, or `length` if it is for none. It is true for all that
 * come after one of these, so a few of them are asked only.
 */
export function firstIndex(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
