import type { IncomingMessage, ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';
import { printable } from '../request/printable.js';

const MAX_LENGTH = 256;
const logger = new Logger('Access');

/** Logs a request when its answer is out. Values never appear, and nothing that a client sends can forge a line. */
export function logAccess(request: IncomingMessage, response: ServerResponse, address: string): void {
  const start = performance.now();
  const { method, url } = request;
  response.once('close', () => {
    const took = Math.round(performance.now() - start);
    const outcome = response.writableFinished ? String(response.statusCode) : 'cut off';
    logger.debug(
      `${method} ${printable(withoutValue(url!), MAX_LENGTH)} ${outcome} ${took} ms, from ${address}`,
    );
  });
}

/** The beginning of a target in its absolute form, which may hold a password. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;
/** The beginning of targets that never hold a value. */
const WITHOUT_VALUES = /^\/(?:get\?key=|kv[/?])/;

/** Everywhere else an `=` may stand before a value: `/set` has spellings, and others are typed by mistake. */
function withoutValue(url: string): string {
  const target = url.replace(AUTHORITY, '');
  const equals = WITHOUT_VALUES.test(target) ? -1 : target.indexOf('=');
  return equals < 0 ? target : `${target.slice(0, equals)}=…`;
}
