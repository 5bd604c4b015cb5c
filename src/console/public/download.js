// Files that the browser saves.

/** Saves bytes under a name. */
export function saveAs(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Returns a name for a file with what a key is called last. */
export function fileNameOf(key, fallback = 'value') {
  return (
    key
      .split('/')
      .findLast((part) => part !== '')
      ?.replace(/[\p{Cc}\\/:*?"<>|]/gu, '_') ?? fallback
  );
}
