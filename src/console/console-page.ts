import type { PageParts } from '../http/answer/page.js';
import { LIBRARIES, type FileSet } from './console-files.js';

/** What the first view does not need; it is loaded by whoever opens the view that does. */
const LATER = /uplot|\/(?:server|plot|tokens|feed|import|lock|past|key-past|history|difference|restore)\.js$/;

/** The console talks to this server only, and makes no markup of text at all (Trusted Types without a policy). */
const POLICY = {
  'img-src': "'self' blob:",
  'require-trusted-types-for': "'script'",
  'trusted-types': "'none'",
};

/** The page of the console. */
export function consolePage({ version, files }: FileSet, nonce: string): PageParts {
  const at = (path: string) => `console/${version}/${path}`;
  const imports = Object.entries(LIBRARIES).map(([name, path]) => [name, `./${at(path)}`]);
  const styles = ['console', 'views'].map(
    (name) => `    <link rel="stylesheet" nonce="${nonce}" href="${at(`public/${name}.css`)}">`,
  );
  const map = JSON.stringify({ imports: Object.fromEntries(imports) });
  const preloads = [...files.keys()]
    .filter((path) => /\.m?js$/.test(path) && !LATER.test(path))
    .map((path) => `    <link rel="modulepreload" nonce="${nonce}" href="${at(path)}">`);
  return {
    title: 'Pigeonhole',
    head: [...styles, `    <script type="importmap" nonce="${nonce}">${map}</script>`, ...preloads].join(
      '\n',
    ),
    body: `    <noscript>The console needs JavaScript. Without it: curl http://this-server/kv</noscript>
    <script type="module" nonce="${nonce}" src="${at('public/app.js')}"></script>`,
    policy: POLICY,
  };
}
