import { isUtf8 } from 'node:buffer';
import { DatabaseError } from '../../errors.js';

const MAX_DEPTH = 128;

/** Parses JSON. @throws DatabaseError `invalid-json`: RFC 8259, UTF-8 without BOM, at most 128 levels */
export function parseJson(bytes: Buffer, what: string): unknown {
  return parseJsonText(textOf(bytes, what), what);
}

/** Returns the text of JSON bytes. @throws DatabaseError `invalid-json` unless it is UTF-8 without BOM */
export function textOf(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes)) throw invalid(what, 'it is not UTF-8');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    throw invalid(what, 'it begins with a BOM');
  return bytes.toString();
}

/** Parses text that has been decoded. */
export function parseJsonText(text: string, what: string): unknown {
  if (isTooDeep(text)) throw invalid(what, `it is nested deeper than ${MAX_DEPTH} levels`);
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8 repeats a piece of the text at the end.
    throw invalid(what, (error as Error).message.replace(/, .* is not valid JSON$/s, ''));
  }
}

/** Whether brackets outside strings are nested deeper than the limit. */
function isTooDeep(text: string): boolean {
  if (!hasBrackets(text, MAX_DEPTH + 1)) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // a string: on to its end
        i = endOfString(text, i);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > MAX_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
    }
  }
  return false;
}

/** Whether there are at least `least` opening brackets, in strings too: for most texts that decides without reading each character. */
function hasBrackets(text: string, least: number): boolean {
  let count = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++count === least) return true;
    }
  }
  return false;
}

/** Returns the index of the quote that closes the string at `start`. */
export function endOfString(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function invalid(what: string, why: string): DatabaseError {
  return new DatabaseError('invalid-json', `${what} is not valid JSON: ${why}.`);
}
