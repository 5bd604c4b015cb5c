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
