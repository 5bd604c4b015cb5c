import type { IncomingMessage, ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';

const MAX_LENGTH = 256;
const logger = new Logger('Access');

/** Logs a request when its answer is out. Values never appear, and nothing that a client sends can forge a line. */
export function logAccess(request: IncomingMessage, response: ServerResponse): void {
  const start = performance.now();
  const { method, url } = request;
  response.once('close', () => {
    const took = Math.round(performance.now() - start);
    const outcome = response.writableFinished ? String(response.statusCode) : 'cut off';
    logger.debug(
      `${method} ${JSON.stringify(withoutValue(url!).slice(0, MAX_LENGTH))} ${outcome} ${took} ms`,
    );
  });
}

function withoutValue(url: string): string {
  const equals = url.startsWith('/set?') ? url.indexOf('=') : -1;
  return equals < 0 ? url : `${url.slice(0, equals)}=…`;
}
