import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { giveWay } from '../../event-loop.js';
import { startText } from '../../http/answer/answer.js';
import { writePaced } from '../../http/answer/paced-writer.js';
import { countUnsent } from '../../http/answer/unsent-answers.js';
import type { Entry } from '../../storage/entry.js';
import { NDJSON_TYPES } from '../../http/request/media-type.js';
import { longestLine } from '../../http/request/memory-budget.js';
import {
  base64Member,
  base64MemberPieces,
  expiresJson,
  PIECE_BYTES,
  typeJson,
  valueMember,
  valueMemberPieces,
} from '../entry-json.js';

export const [NDJSON] = NDJSON_TYPES;

/** Leaves room for key, type and expiry. */
const LONGEST_MEMBER = longestLine(0) - 16_384;
/** The bytes of a control character in JSON. */
const MOST_BYTES_OF_ONE = 6;

/** Returns the bytes of values, which are in memory until all of them are written. */
export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { size } of entries) bytes += size;
  return bytes;
}

/** Returns an entry as a line of an export, which an import takes as it is. */
export function exportLine(entry: Entry): string {
  return `${lineStart(entry)}${memberOf(entry.value)}}\n`;
}

/** Yields the lines of `entries`, and those of large ones in pieces. */
async function* exportLines(entries: readonly Entry[]): AsyncGenerator<string> {
  let text = '';
  for (const entry of entries) {
    const { value } = entry;
    if (value.length <= PIECE_BYTES) {
      text += exportLine(entry);
      continue;
    }
    yield text + lineStart(entry);
    const asText = valueMemberPieces(value);
    yield* mayBeTooLong(value) && (await bytesIn(asText)) > LONGEST_MEMBER
      ? base64MemberPieces(value)
      : valueMemberPieces(value);
    text = '}\n';
  }
  yield text;
}

/** Counts the bytes of a text that is made in pieces, as it is made again to be sent: as one it would be too large. */
async function bytesIn(pieces: Iterable<string>): Promise<number> {
  let bytes = 0;
  for (const piece of pieces) {
    bytes += Buffer.byteLength(piece);
    await giveWay();
  }
  return bytes;
}

function lineStart({ key, type, expires }: Entry): string {
  return `{"key":${JSON.stringify(key)},"type":${typeJson(type)},"expires":${expiresJson(expires)},`;
}

/** Text of control characters is six times as long in JSON, and a line must be no longer than an import takes. */
function memberOf(value: Buffer): string {
  const member = valueMember(value);
  return mayBeTooLong(value) && Buffer.byteLength(member) > LONGEST_MEMBER ? base64Member(value) : member;
}

function mayBeTooLong(value: Buffer): boolean {
  return value.length > LONGEST_MEMBER / MOST_BYTES_OF_ONE;
}

/**
 * Returns the last line, with the digest of all lines before it: without it an export is not whole.
 * @param damaged keys of entries that have been left out
 */
function closingLine(count: number, sha256: string, damaged: readonly string[] = []): string {
  return `${JSON.stringify({ end: true, count, sha256, ...(damaged.length > 0 && { damaged }) })}\n`;
}

/**
 * Streams a range, one entry a line, at the pace of the reader.
 * @param headers grow by what is known when the range has been opened
 * @param damaged grows by the keys of entries that the range leaves out
 */
export async function exportRange(
  response: ServerResponse,
  range: AsyncIterable<readonly Entry[]>,
  headers: readonly string[],
  damaged: readonly string[] = [],
): Promise<void> {
  const hash = createHash('sha256');
  let count = 0;
  for await (const entries of range) {
    if (count === 0) startText(response, NDJSON, headers);
    count += entries.length;
    countUnsent(response, bytesOf(entries));
    for await (const text of exportLines(entries)) {
      hash.update(text);
      await writePaced(response, text);
    }
  }
  if (count === 0) startText(response, NDJSON, headers);
  response.end(closingLine(count, hash.digest('hex'), damaged));
}
