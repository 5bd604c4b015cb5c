import { isUtf8 } from 'node:buffer';
import { TEXT, type Entry } from '../storage/entry.js';
import { base64Pieces, jsonPieces, PIECE_BYTES, textPieces } from './entry-json.js';

/*
 * A value as the original routes show it inside JSON: text as a string, JSON as its own text so that no digit is lost,
 * anything else as a `data:` URL.
 */

function valueAsJson({ type, value }: Entry): string {
  if (isText(type)) {
    if (isUtf8(value)) return JSON.stringify(value.toString());
  } else if (type === 'application/json') {
    return value.toString();
  }
  return `"${dataUrlStart(type)}${value.toString('base64')}"`;
}

/** Yields `valueAsJson` in pieces. */
function* valuePieces({ type, value }: Entry): Generator<string> {
  if (type === 'application/json') return yield* textPieces(value);
  const isString = isText(type) && isUtf8(value);
  yield isString ? '"' : `"${dataUrlStart(type)}`;
  yield* isString ? jsonPieces(value) : base64Pieces(value);
  yield '"';
}

function isText(type: string): boolean {
  return type === TEXT || type.startsWith('text/');
}

/** Returns the beginning of a `data:` URL as a part of a JSON string. */
function dataUrlStart(type: string): string {
  return JSON.stringify(`data:${type.replaceAll(' ', '')};base64,`).slice(1, -1);
}

/** Returns `"key":value`, to stand between braces. It is built as text, so `__proto__` is a key like any other. */
export function memberAsJson(entry: Entry): string {
  return `${JSON.stringify(entry.key)}:${valueAsJson(entry)}`;
}

/** Yields the members of `entries` with commas between them, and large ones in pieces. */
export function* membersAsJson(entries: readonly Entry[]): Generator<string> {
  let text = '';
  for (const [i, entry] of entries.entries()) {
    if (i > 0) text += ',';
    if (entry.value.length <= PIECE_BYTES) {
      text += memberAsJson(entry);
      continue;
    }
    yield `${text}${JSON.stringify(entry.key)}:`;
    yield* valuePieces(entry);
    text = '';
  }
  if (text !== '') yield text;
}
