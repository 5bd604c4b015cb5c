import { read } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DatabaseError } from '../errors.js';
import { writePaced } from '../http/answer/paced-writer.js';

const readAt = promisify(read);
const PIECE_BYTES = 128 * 1024;
/** After each piece: beside a reader that is fast enough, who writes would wait several times as long. */
const REST_MS = 1;
/** As slow as a client may be that sends a body, bytes a second. */
const LEAST_RATE = 1024;
const LEAST_RATE_AFTER_MS = 30_000;

/**
 * Sends an open file at the pace of the reader, a piece at a time. A file that keeps others waiting is not kept for ever: a
 * reader that takes nothing for 30 s, or less than 1 KiB/s, is cut.
 *
 * @throws DatabaseError `unavailable`
 */
export async function sendFile(
  response: ServerResponse,
  { descriptor, bytes }: { readonly descriptor: number; readonly bytes: number },
): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < bytes;) {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - sent));
    const { bytesRead } = await readAt(descriptor, piece, 0, piece.length, sent);
    if (bytesRead === 0) throw new DatabaseError('unavailable', 'The file has become shorter.');
    await writePaced(response, piece.subarray(0, bytesRead));
    sent += bytesRead;
    await pause(REST_MS);
    const elapsed = performance.now() - start;
    if (elapsed > LEAST_RATE_AFTER_MS && sent < (elapsed / 1000) * LEAST_RATE)
      throw new DatabaseError('unavailable', 'The reader is slower than 1 KiB/s.');
  }
  response.end();
}
