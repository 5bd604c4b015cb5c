/** Some of the keys, which lie side by side in their order. */
export interface KeyRange {
  /** Only keys that begin with this text. Every key begins with the empty text. */
  readonly prefix: string;
  /** Only this key and those after it. */
  readonly from?: string;
  /** Only keys before this one. */
  readonly to?: string;
}

/** The range of all keys. */
export const ALL_KEYS: KeyRange = { prefix: '' };

/** The first bytes that may be in a range, and the first after it; undefined where there is no bound. */
export interface Bounds {
  readonly start: Buffer | undefined;
  readonly end: Buffer | undefined;
}

/** Returns the bounds of a range. Those of an empty one are the same or in the wrong order. */
export function boundsOf({ prefix, from, to }: KeyRange): Bounds {
  let start = prefix === '' ? undefined : Buffer.from(prefix);
  let end = prefixEnd(prefix);
  if (from !== undefined && (!start || start.compare(Buffer.from(from)) < 0)) start = Buffer.from(from);
  if (to !== undefined && (!end || end.compare(Buffer.from(to)) > 0)) end = Buffer.from(to);
  return { start, end };
}

/** Returns whether `key` is in the range. */
export function isInRange(key: string, { prefix, from, to }: KeyRange): boolean {
  return (
    key.startsWith(prefix) &&
    (from === undefined || compareKeys(key, from) >= 0) &&
    (to === undefined || compareKeys(key, to) < 0)
  );
}

/**
 * Returns the smallest byte string that is greater than every key that begins with `prefix`; undefined for the empty
 * prefix, which has none. UTF-8 has no byte 0xFF, so adding one to the last byte never overflows.
 */
export function prefixEnd(prefix: string): Buffer | undefined {
  if (prefix === '') return undefined;
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
}

/** Compares keys by their UTF-8 bytes, as ranges order them. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    // UTF-16 puts surrogates (astral characters) before U+E000 to U+FFFF; UTF-8 puts them after.
    if (x !== y) return astralLast(x) - astralLast(y);
  }
  return a.length - b.length;
}

function astralLast(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Returns the name of the group into which `delimiter` folds `key`; undefined if `key` is an item of its own. */
export function groupOf(key: string, prefix: string, delimiter: string): string | undefined {
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}
