import { LIBRARIES, type FileSet } from './console-files.js';

/** What the first view does not need; it is loaded by whoever opens the view that does. */
const LATER = /uplot|\/(?:server|plot|tokens|feed|import)\.js$/;

/**
 * Returns the policy of the page: it runs the scripts and takes the styles that have its nonce, talks to this server only,
 * and makes no markup of text at all (Trusted Types without a policy).
 */
export function consolePolicy(nonce: string): string {
  return (
    `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; ` +
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'"
  );
}

/** The page of the console. Its addresses are relative, so that a proxy may put it under a prefix. */
export function consolePage({ version, files }: FileSet, nonce: string): string {
  const at = (path: string) => `console/${version}/${path}`;
  const imports = Object.entries(LIBRARIES).map(([name, path]) => [name, `./${at(path)}`]);
  const preloads = [...files.keys()]
    .filter((path) => /\.m?js$/.test(path) && !LATER.test(path))
    .map((path) => `    <link rel="modulepreload" nonce="${nonce}" href="${at(path)}">`);
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
    <meta name="color-scheme" content="light dark">
    <title>Pigeonhole</title>
    <link rel="icon" type="image/svg+xml" href="favicon.ico">
    <link rel="stylesheet" nonce="${nonce}" href="${at('public/console.css')}">
    <link rel="stylesheet" nonce="${nonce}" href="${at('public/views.css')}">
    <script type="importmap" nonce="${nonce}">${JSON.stringify({ imports: Object.fromEntries(imports) })}</script>
${preloads.join('\n')}
  </head>
  <body>
    <noscript>The console needs JavaScript. Without it: curl http://this-server/kv</noscript>
    <script type="module" nonce="${nonce}" src="${at('public/app.js')}"></script>
  </body>
</html>
`;
}
