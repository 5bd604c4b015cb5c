/** Bounds and order of keys as their UTF-8 bytes. */

/**
 * The smallest byte string that is greater than every key beginning with `prefix`; undefined if there is none (the
 * empty prefix). UTF-8 has no byte 0xFF, so adding one to the last byte always works.
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

/** The group that `delimiter` folds `key` into below `prefix`, or undefined if it stands for itself. */
export function groupOf(key: string, prefix: string, delimiter: string): string | undefined {
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}
