import { isUtf8 } from 'node:buffer';
import { isJson, isText } from '../http/request/media-type.js';
import type { Entry } from '../storage/entry.js';
import { base64Pieces, jsonPieces, PIECE_BYTES, textPieces } from './entry-json.js';

/*
 * A value as the original routes show it inside JSON: text as a string, JSON as its own text so that no digit is lost,
 * anything else as a `data:` URL.
 */

function valueAsJson({ type, value }: Entry): string {
  if (isText(type)) {
    if (isUtf8(value)) return JSON.stringify(value.toString());
  } else if (isJson(type)) {
    return value.toString();
  }
  return `"${dataUrlStart(type)}${value.toString('base64')}"`;
}

/** Yields `valueAsJson` in pieces. */
function* valuePieces({ type, value }: Entry): Generator<string> {
  if (isJson(type)) return yield* textPieces(value);
  const isString = isText(type) && isUtf8(value);
  yield isString ? '"' : `"${dataUrlStart(type)}`;
  yield* isString ? jsonPieces(value) : base64Pieces(value);
  yield '"';
}

/** The spaces of a type that mean nothing; its strings are matched to be kept. */
const SPACES = /("[^"]*")|[ \t]+/g;
/**
 * What would end the type in a URL. Browsers do not decode a type, so these three, which no known type has, come out of
 * `fetch` as escapes; everything else of a type comes out as it is.
 */
const ENDS = /[,#?]/g;

/** Returns the beginning of a `data:` URL (RFC 2397) as a part of a JSON string. */
function dataUrlStart(type: string): string {
  const escaped = type.replace(SPACES, '$1').replace(ENDS, (end) => encodeURIComponent(end));
  return JSON.stringify(`data:${escaped};base64,`).slice(1, -1);
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
