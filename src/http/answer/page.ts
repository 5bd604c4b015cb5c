import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { GUARD_HEADERS, NO_STORE } from './answer.js';

/** A page of the server's own: what it is made of and what it may do. */
export interface PageParts {
  readonly title: string;
  /** What else its head and its body have; scripts and styles carry the nonce. */
  readonly head: string;
  readonly body: string;
  /** What its policy allows apart from scripts and styles of the page and requests to this server. */
  readonly policy: Readonly<Record<string, string>>;
}

/**
 * Answers a page. Only scripts of this very page run, by a nonce: a stored value could be loaded from 'self' as a script.
 * @param make its parts, with the nonce
 */
export function answerPage(response: ServerResponse, make: (nonce: string) => PageParts): void {
  const nonce = randomBytes(16).toString('base64');
  const page = make(nonce);
  const html = htmlOf(page);
  response.writeHead(200, [
    ...GUARD_HEADERS,
    'Content-Security-Policy',
    policyOf(page.policy, nonce),
    ...NO_STORE,
    'Content-Type',
    'text/html; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(html)),
  ]);
  response.end(html);
}

function policyOf(more: PageParts['policy'], nonce: string): string {
  const directives = {
    'default-src': "'none'",
    'script-src': `'nonce-${nonce}'`,
    'connect-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
    ...more,
    'style-src': `'nonce-${nonce}' ${more['style-src'] ?? ''}`.trimEnd(),
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');
}

/** Its addresses are relative, so that a proxy may put it under a prefix. */
function htmlOf({ title, head, body }: PageParts): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
    <meta name="color-scheme" content="light dark">
    <title>${title}</title>
    <link rel="icon" type="image/svg+xml" href="favicon.ico">
${head}
  </head>
  <body>
${body}
  </body>
</html>
`;
}
