// Joins two changes of one text, line by line.

/** More lines than this are not compared. */
export const MOST_LINES = 3000;

/** Returns which lines of `a` and `b` are the same: pairs of numbers, in order; the longest there is. */
export function commonLines(a, b) {
  /** @type {[number, number][]} */
  const pairs = [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) pairs.push([start, start++]);
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const middle = longest(a.slice(start, a.length - end), b.slice(start, b.length - end));
  for (const [i, j] of middle) pairs.push([i + start, j + start]);
  for (let i = end; i > 0; i--) pairs.push([a.length - i, b.length - i]);
  return pairs;
}

function longest(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const below = lengths[(i + 1) * width + j];
      const right = lengths[i * width + j + 1];
      lengths[i * width + j] = a[i] === b[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(below, right);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

/**
 * Returns both changes of `base` in one text, and how many places both have changed differently; those hold both, between
 * lines of marks.
 */
export function merge(base, mine, theirs) {
  const [b, m, t] = [base, mine, theirs].map((text) => text.split('\n'));
  if (Math.max(b.length, m.length, t.length) > MOST_LINES) return { text: mine, conflicts: 1 };
  const merged = [];
  let conflicts = 0;
  let at = [0, 0, 0];
  for (const [i, j, k] of [...commonOfAll(b, m, t), [b.length, m.length, t.length]]) {
    const parts = [b.slice(at[0], i), m.slice(at[1], j), t.slice(at[2], k)];
    const joined = joinParts(...parts);
    if (joined === undefined) conflicts++;
    merged.push(...(joined ?? ['<<<<<<< mine', ...parts[1], '=======', ...parts[2], '>>>>>>> theirs']));
    if (i < b.length) merged.push(b[i]);
    at = [i + 1, j + 1, k + 1];
  }
  return { text: merged.join('\n'), conflicts };
}

/** Lines that all three have. */
function commonOfAll(base, mine, theirs) {
  const inTheirs = new Map(commonLines(base, theirs));
  return commonLines(base, mine).flatMap(([i, j]) => (inTheirs.has(i) ? [[i, j, inTheirs.get(i)]] : []));
}

function joinParts(base, mine, theirs) {
  const [b, m, t] = [base, mine, theirs].map((lines) => lines.join('\n'));
  if (m === t || t === b) return mine;
  return m === b ? theirs : undefined;
}
