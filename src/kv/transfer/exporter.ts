import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { startText } from '../../http/answer/answer.js';
import { writePaced } from '../../http/answer/paced-writer.js';
import type { Entry } from '../../storage/entry.js';
import { expiresJson, typeJson, valueMember } from '../entry-json.js';

export const NDJSON = 'application/x-ndjson';

/** Returns an entry as a line of an export, which an import takes as it is. */
export function exportLine({ key, type, expires, value }: Entry): string {
  return `{"key":${JSON.stringify(key)},"type":${typeJson(type)},"expires":${expiresJson(expires)},${valueMember(value)}}\n`;
}

/**
 * Returns the last line, with the digest of all lines before it: without it an export is not whole.
 * @param damaged keys of entries that have been left out
 */
export function closingLine(count: number, sha256: string, damaged: readonly string[] = []): string {
  return `${JSON.stringify({ end: true, count, sha256, ...(damaged.length > 0 && { damaged }) })}\n`;
}

/**
 * Streams a range, one entry a line, at the pace of the reader.
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
    const lines = entries.map(exportLine).join('');
    hash.update(lines);
    count += entries.length;
    await writePaced(response, lines);
  }
  if (count === 0) startText(response, NDJSON, headers);
  response.end(closingLine(count, hash.digest('hex'), damaged));
}
