import type { JsonNode } from './json-outline.js';
import type { Turns } from './turns.js';

/* What stands in JSON text, taken out of its bytes: no string is built on the way, and no number loses a digit. */

/** Bytes between two chances for others. */
const SLICE_BYTES = 16 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const U = 0x75;
/** What the letter after a backslash means: itself, or one of five control characters. */
const ESCAPED = Uint8Array.from({ length: 128 }, (_, letter) => letter);
for (let i = 0; i < 5; i++) ESCAPED['bfnrt'.charCodeAt(i)] = '\b\f\n\r\t'.charCodeAt(i);

/** Returns the UTF-8 of a string; undefined if it has half a surrogate pair, which is no text. */
export function* decodeString({ bytes, start, end, escaped }: JsonNode): Turns<Buffer | undefined> {
  if (!escaped) return bytes.subarray(start + 1, end - 1);
  // No escape is shorter than what it means.
  const decoded = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let at = start + 1; at < end - 1;) {
    const stop = Math.min(at + SLICE_BYTES, end - 1);
    while (at < stop) {
      const byte = bytes[at++]!;
      if (byte !== BACKSLASH) {
        decoded[length++] = byte;
        continue;
      }
      const letter = bytes[at++]!;
      if (letter !== U) {
        decoded[length++] = ESCAPED[letter]!;
        continue;
      }
      const code = codePointAt(bytes, at);
      if (code === undefined) return undefined;
      at += code > 0xffff ? 10 : 4;
      length = writeCodePoint(decoded, length, code);
    }
    yield;
  }
  return decoded.subarray(0, length);
}

/** Returns the character of an escape whose first hexadecimal digit is at `at`; undefined for half a surrogate pair. */
function codePointAt(bytes: Buffer, at: number): number | undefined {
  const first = hexAt(bytes, at);
  if (first < 0xd800 || first > 0xdfff) return first;
  const isPair = first < 0xdc00 && bytes[at + 4] === BACKSLASH && bytes[at + 5] === U;
  const second = isPair ? hexAt(bytes, at + 6) : 0;
  if (second < 0xdc00 || second > 0xdfff) return undefined;
  return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

function hexAt(bytes: Buffer, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = bytes[i]!;
    value = (value << 4) | (digit <= 0x39 ? digit - 0x30 : (digit & 0xdf) - 0x37);
  }
  return value;
}

/** Writes a character as UTF-8. Returns the index after it. */
function writeCodePoint(out: Buffer, at: number, code: number): number {
  if (code < 0x80) {
    out[at++] = code;
  } else if (code < 0x800) {
    out[at++] = 0xc0 | (code >> 6);
    out[at++] = 0x80 | (code & 0x3f);
  } else if (code < 0x10000) {
    out[at++] = 0xe0 | (code >> 12);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  } else {
    out[at++] = 0xf0 | (code >> 18);
    out[at++] = 0x80 | ((code >> 12) & 0x3f);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}

/** Returns the text of a value without the white space between its parts; everything else stays as it was written. */
export function* compactJson(node: JsonNode): Turns<Buffer> {
  const compact = Buffer.allocUnsafe(node.end - node.start);
  return compact.subarray(0, yield* writeCompact(compact, 0, node));
}

/** Writes the compact text of a value. Returns the index after it. */
export function* writeCompact(out: Buffer, to: number, { bytes, start, end }: JsonNode): Turns<number> {
  let inString = false;
  for (let at = start; at < end;) {
    if (at > start) yield;
    const stop = Math.min(at + SLICE_BYTES, end);
    while (at < stop) {
      const byte = bytes[at++]!;
      if (byte <= 0x20 && !inString) continue;
      out[to++] = byte;
      if (byte === QUOTE) inString = !inString;
      else if (byte === BACKSLASH) out[to++] = bytes[at++]!;
    }
  }
  return to;
}
