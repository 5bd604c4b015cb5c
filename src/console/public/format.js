// Numbers, times and types in words.

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
const NUMBER = new Intl.NumberFormat('en');
const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export function formatCount(count) {
  return NUMBER.format(count);
}

/** Returns `1 key`, `2 keys`. */
export function counted(count, word) {
  const plural = word.endsWith('y') ? `${word.slice(0, -1)}ies` : `${word}s`;
  return `${formatCount(count)} ${count === 1 ? word : word === 'key' ? 'keys' : plural}`;
}

export function formatBytes(bytes) {
  let unit = 0;
  let amount = bytes;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  if (unit === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return `${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[unit]}`;
}

/** Returns a size that fits a narrow column. */
export function shortBytes(bytes) {
  return bytes < 1024 ? `${bytes} B` : formatBytes(bytes).replace('iB', '');
}

export function formatTime(text) {
  return TIME.format(new Date(text));
}

/** Returns how long something lasts, in its two greatest units: `2 d 3 h`. @param milliseconds at least 0 */
export function formatSpan(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  /** @type {[number, string][]} */
  const parts = [
    [Math.floor(seconds / 86400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return 'under 1 s';
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

export function formatAgo(text) {
  const passed = Math.max(0, Date.now() - new Date(text).getTime());
  return passed < 1000 ? 'just now' : `${formatSpan(passed)} ago`;
}

export function essenceOf(type) {
  return type.split(';', 1)[0].trim().toLowerCase();
}

export function isJson(type) {
  return /^application\/(?:[\w.-]+\+)?json$/.test(essenceOf(type));
}

export function isImage(type) {
  return /^image\/(?:png|jpeg|gif|webp|avif|bmp|svg\+xml|x-icon|vnd\.microsoft\.icon)$/.test(essenceOf(type));
}

/** Returns the text of bytes, undefined if they are no UTF-8. A mark at the beginning is a character like others. */
export function textOf(bytes, isWhole = true) {
  try {
    // The beginning of a value may end in the middle of a character.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return undefined;
  }
}
