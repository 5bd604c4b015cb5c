import type { IncomingMessage } from 'node:http';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether the method is one that by its definition only reads (RFC 9110, 9.2.1). */
export function hasSafeMethod({ method }: IncomingMessage): boolean {
  return SAFE_METHODS.has(method!);
}

/** Whether a GET of this URL changes state: `/set` does, as it always did. */
export function writesOnGet(url: string): boolean {
  // Express takes what follows `#` for no part of the path either.
  return url.startsWith('/set') && (url.length === 4 || url[4] === '?' || url[4] === '#');
}

/** Whether the request changes nothing. */
export function isSafe(request: IncomingMessage): boolean {
  return hasSafeMethod(request) && (request.method === 'OPTIONS' || !writesOnGet(request.url!));
}
