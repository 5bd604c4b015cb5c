// What there is to know of keys.

/**
 * Compares keys by the bytes of their UTF-8, as the server orders them. Code units of UTF-16 have another order where
 * surrogates meet characters from U+E000 on.
 */
export function compareKeys(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    const [isHighX, isHighY] = [isSurrogate(x), isSurrogate(y)];
    return isHighX === isHighY ? x - y : isHighX ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit) {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** Returns the folder under `prefix` that a key is in, undefined if in none. */
export function folderOf(key, prefix, delimiter) {
  if (delimiter === '') return undefined;
  const end = key.indexOf(delimiter, prefix.length);
  return end < 0 ? undefined : key.slice(0, end + delimiter.length);
}

/** Returns the folders that lead to a prefix, from the outermost on, and what is left of it. */
export function pathOf(prefix, delimiter) {
  const folders = [];
  let folder = '';
  for (;;) {
    const next = folderOf(prefix, folder, delimiter);
    if (next === undefined) return { folders, rest: prefix.slice(folder.length) };
    folders.push({ prefix: next, name: next.slice(folder.length) });
    folder = next;
  }
}

/** Returns a key in which what has no shape of its own is seen: controls, and marks that turn the direction of writing. */
export function visible(key) {
  return key.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (mark) => {
    const code = mark.codePointAt(0);
    // The joiner of emoji and of scripts that need it.
    if (code === 0x200d || code === 0x200c) return mark;
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '␡' : `⟨U+${hex(code)}⟩`;
  });
}

function hex(code) {
  return code.toString(16).toUpperCase().padStart(4, '0');
}
