import { randomBytes } from 'node:crypto';

/*
 * Values inside a batch are stored as their compact text, but JSON.parse turns 12345678901234567890 and 1e400 into
 * other numbers. So numbers that a double may not hold are wrapped into marked strings before parsing, and unwrapped
 * when a value is written out again. The mark is random, so that no user's string can look like one.
 */
const MARK = `${randomBytes(12).toString('hex')}:`;
const RISKY = /[0-9]{16}|[0-9][eE][+-]?[0-9]|\.[0-9]*0(?![0-9])/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g');

/** JSON text in which no number loses a digit when it is parsed. */
export function markNumbers(text: string): string {
  if (!RISKY.test(text)) return text;
  return text.replace(TOKEN, (token) => (token.startsWith('"') ? token : `"${MARK}${token}"`));
}

/** The compact text of a parsed value, its numbers as they were written. */
export function compactJson(value: unknown): string {
  return JSON.stringify(value).replace(MARKED, '$1');
}

/** The text of a parsed number, or undefined if it is none. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value.startsWith(MARK) ? value.slice(MARK.length) : undefined;
}

/** A parsed string, or undefined if it is none. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && !value.startsWith(MARK) ? value : undefined;
}
