import type { IncomingMessage, ServerResponse } from 'node:http';

/** All that any path answers. */
export const METHODS = 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS';
const REQUEST_HEADERS =
  'Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, ' +
  'Last-Event-ID, Prefer, Range';
const EXPOSED =
  'ETag, Last-Modified, Location, Link, Retry-After, Allow, Content-Range, KV-Expires, KV-Count, Preference-Applied';
const MAX_AGE_SECONDS = '600';

/** Lets pages of the origins of CORS_ORIGINS read answers and write; to all others CORS is off. */
export class Cors {
  private readonly origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.origins = new Set(origins);
  }

  /** Whether the request comes from a page that is let in; its answer then says so. */
  letsIn(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.origins.size === 0) return false;
    const { headers, method } = request;
    // What others get must not be taken for the answer to an origin that is let in, or the other way round.
    response.setHeader('Vary', 'Origin');
    if (headers.origin === undefined || !this.origins.has(headers.origin)) return false;
    response.setHeader('Access-Control-Allow-Origin', headers.origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    if (method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
      response.setHeader('Access-Control-Allow-Methods', METHODS);
      response.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
      response.setHeader('Access-Control-Max-Age', MAX_AGE_SECONDS);
    }
    return true;
  }
}
