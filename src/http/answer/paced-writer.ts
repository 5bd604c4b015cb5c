import type { ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';

const CHECK_EVERY_MS = 1_000;
const STALLED_CHECKS = 30;

/**
 * Writes text. Returns what to wait for before the next, if the reader is slower or it is time to give way to others: a
 * reader who takes everything at once must not hold up everybody else.
 * @throws DatabaseError `unavailable` if the reader goes away or takes nothing for 30 s: it must not hold a snapshot for ever
 */
export function writePaced(response: ServerResponse, text: string | Buffer): Promise<void> | undefined {
  if (response.destroyed) throw gone();
  return response.write(text) ? giveWay() : drained(response).then(giveWay);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: DatabaseError) => {
      clearInterval(checker);
      response.off('drain', onDrain).off('close', onClose);
      if (error) reject(error);
      else resolve();
    };
    const onDrain = () => settle();
    const onClose = () => settle(gone());
    let checks = 0;
    // An answer that waits for the one before it on its connection is not late, and hears of no end of that connection.
    const checker = setInterval(() => {
      if (response.socket) checks++;
      if (checks >= STALLED_CHECKS || response.req.socket.destroyed) settle(gone());
    }, CHECK_EVERY_MS);
    response.on('drain', onDrain).on('close', onClose);
  });
}

function gone(): DatabaseError {
  return new DatabaseError('unavailable', 'The reader went away, or took nothing for 30 s.');
}
