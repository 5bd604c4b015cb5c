import type { IncomingMessage, ServerResponse } from 'node:http';

/** Every method that some path has, in the order in which they are listed. */
export const METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS'];
const EXPOSED =
  'ETag, Last-Modified, Location, Link, Retry-After, Allow, Content-Range, KV-Expires, KV-Count, KV-Revision, ' +
  'Preference-Applied, RateLimit, RateLimit-Policy, Idempotency-Replayed, Idempotency-Expires';
const MAX_AGE_SECONDS = '600';

/** Allows pages of the origins in CORS_ORIGINS to read answers and to write; for all others CORS is off. */
export class Cors {
  private readonly origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.origins = new Set(origins);
  }

  /** Returns whether the request comes from a page of an allowed origin; its answer then says so. */
  allows(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.origins.size === 0) return false;
    const { headers, method } = request;
    // A cache must not give the answer for others to an allowed origin, or the other way round.
    response.setHeader('Vary', 'Origin');
    if (headers.origin === undefined || !this.origins.has(headers.origin)) return false;
    response.setHeader('Access-Control-Allow-Origin', headers.origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    if (method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
      response.setHeader('Access-Control-Allow-Methods', METHODS.join(', '));
      const asked = namesIn(headers['access-control-request-headers']);
      if (asked !== '') response.setHeader('Access-Control-Allow-Headers', asked);
      response.setHeader('Access-Control-Max-Age', MAX_AGE_SECONDS);
    }
    return true;
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const MOST_NAMES = 100;

/** Returns the header names that a preflight asks for: whatever an allowed origin sends, it may send. */
function namesIn(list = ''): string {
  const names = list.split(',', MOST_NAMES).map((name) => name.trim());
  return names.filter((name) => TOKEN.test(name)).join(', ');
}
