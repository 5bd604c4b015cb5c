import { isUtf8 } from 'node:buffer';
import type { JsonNode, OutlineLevel } from './json-outline.js';
import { invalidJson, JsonScanner } from './json-scanner.js';
import type { Turns } from './turns.js';

/** Takes a tenth of a millisecond. */
const SLICE_BYTES = 16 * 1024;

/**
 * Checks that bytes are JSON and returns its outline, without building what they say.
 * @param what they are, as the subject of an error's sentence
 * @throws DatabaseError `invalid-json`: RFC 8259, UTF-8 without BOM, at most 128 levels
 */
export function* readJson(bytes: Buffer, what: string, levels?: readonly OutlineLevel[]): Turns<JsonNode> {
  const root = yield* readJsonOrBlank(bytes, what, levels);
  if (!root) throw invalidJson(what, 'it is empty');
  return root;
}

/** Returns undefined for nothing but white space. */
export function* readJsonOrBlank(
  bytes: Buffer,
  what: string,
  levels?: readonly OutlineLevel[],
): Turns<JsonNode | undefined> {
  if (!isUtf8(bytes)) throw invalidJson(what, 'it is not UTF-8');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    throw invalidJson(what, 'it begins with a BOM');
  const scanner = new JsonScanner(bytes, what, levels);
  while (!scanner.step(SLICE_BYTES)) yield;
  return scanner.outline.root;
}
