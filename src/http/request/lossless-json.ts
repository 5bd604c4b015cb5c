import { randomBytes } from 'node:crypto';
import { endOfString } from './strict-json.js';

/*
 * A batch and a merge patch store JSON as its compact text, but JSON.parse turns 12345678901234567890 and 1e400 into
 * other numbers. So numbers that a double may not hold are wrapped into marked strings before parsing, and unwrapped
 * when the value is written again. The mark is random: no user's string looks like one.
 */
const MARK = `${randomBytes(12).toString('hex')}:`;
const RISKY = /[0-9.]{16}|[0-9][eE][+-]?[0-9]|\.[0-9]*0(?![0-9])|\.0{6}|-0/;
const NUMBER = /-?[0-9][0-9.eE+-]*/g;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g');

/** Returns JSON text in which no number loses a digit when it is parsed. `text` has to be valid JSON. */
export function markNumbers(text: string): string {
  if (!RISKY.test(text)) return text;
  const parts: string[] = [];
  let end = 0;
  // A regular expression for strings too would run out of stack on long ones.
  for (let quote = text.indexOf('"'); quote >= 0; quote = text.indexOf('"', end)) {
    const close = endOfString(text, quote) + 1;
    parts.push(text.slice(end, quote).replace(NUMBER, mark), text.slice(quote, close));
    end = close;
  }
  parts.push(text.slice(end).replace(NUMBER, mark));
  return parts.join('');
}

function mark(number: string): string {
  return `"${MARK}${number}"`;
}

/** Returns the compact text of a parsed value, with its numbers as they were written. */
export function compactJson(value: unknown): string {
  return JSON.stringify(value).replace(MARKED, '$1');
}

/** Returns the text of a parsed number; undefined if it is none. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value.startsWith(MARK) ? value.slice(MARK.length) : undefined;
}

/** Returns a parsed string; undefined if it is none. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && !value.startsWith(MARK) ? value : undefined;
}
