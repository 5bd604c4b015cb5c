// What differs between two texts, line by line.
import { commonLines, MOST_LINES } from './merge.js';

/** So many lines that are the same stand around what differs. */
const AROUND = 3;

/** @typedef {{ sign: '-' | '+' | ' ', text: string }} Line gone, new, or the same */

/**
 * Returns the lines of both texts in one list, undefined if there are too many to compare. A text that is undefined has none.
 * @returns {Line[] | undefined}
 */
export function differenceOf(before, after) {
  const [a, b] = [before, after].map((text) => (text === undefined ? [] : text.split('\n')));
  if (Math.max(a.length, b.length) > MOST_LINES) return undefined;
  /** @type {Line[]} */
  const lines = [];
  let [i, j] = [0, 0];
  for (const [x, y] of [...commonLines(a, b), [a.length, b.length]]) {
    for (; i < x; i++) lines.push({ sign: '-', text: a[i] });
    for (; j < y; j++) lines.push({ sign: '+', text: b[j] });
    if (i < a.length) lines.push({ sign: ' ', text: a[i] });
    [i, j] = [x + 1, y + 1];
  }
  return lines;
}

/**
 * Returns the lines without those that are the same and far from what differs: `{ left }` counts them in their place.
 * @param {Line[]} lines
 * @returns {(Line | { left: number })[]}
 */
export function shortened(lines) {
  const isNear = new Uint8Array(lines.length);
  lines.forEach(({ sign }, i) => sign !== ' ' && isNear.fill(1, Math.max(0, i - AROUND), i + AROUND + 1));
  /** @type {(Line | { left: number })[]} */
  const shown = [];
  lines.forEach((line, i) => {
    const last = shown.at(-1);
    if (isNear[i]) shown.push(line);
    else if (last && 'left' in last) last.left++;
    // A single one takes no more room than its number.
    else shown.push(i + 1 < lines.length && !isNear[i + 1] ? { left: 1 } : line);
  });
  return shown;
}
