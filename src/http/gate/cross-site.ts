import type { IncomingMessage } from 'node:http';
import { printable } from '../request/printable.js';

/**
 * Returns why a request that may change something does not come from the user, or undefined if it may.
 *
 * Problem: every web page the user visits can make their browser send requests to this server, and `/set` writes on
 * GET. Design: browsers say where a request comes from (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/). Typed in
 * the address bar (`none`), same-origin pages and programs that are no browser (no such header) pass. Another port of
 * the same machine is another site to us.
 */
export function foreignOrigin(request: IncomingMessage): string | undefined {
  const headers = request.headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none' && site !== 'same-origin') {
    const origin = headers.origin === undefined ? '' : `, Origin: ${printable(headers.origin)}`;
    return `the browser says that it comes from another site (Sec-Fetch-Site: ${printable(String(site))}${origin})`;
  }
  if (/prefetch|prerender|preview/i.test([headers['sec-purpose'], headers['purpose']].join(' '))) {
    return 'the browser only fetches it in advance';
  }
  const host = headers.host?.toLowerCase() ?? '';
  const foreign = [headers.origin, headers.referer].find(
    (from) => from !== undefined && authorityOf(from) !== host,
  );
  return foreign === undefined ? undefined : `it comes from another origin (${printable(foreign)})`;
}

/** Returns host[:port] of a URL. The scheme is not compared, because TLS may end at a proxy. */
function authorityOf(url: string): string | undefined {
  return /^https?:\/\/([^/?#]*)/i.exec(url)?.[1]!.toLowerCase();
}
