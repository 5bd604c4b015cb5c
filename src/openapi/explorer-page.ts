import type { PageParts } from '../http/answer/page.js';

/** The group of HEAD and OPTIONS, apart from the operations that do something: the page folds it away. */
export const METHODS_TAG = 'HEAD and OPTIONS';

/**
 * What Swagger UI lacks: by day its white on light colours is hard to read (WCAG 2, 1.4.3), and on a phone the heading of a
 * group leaves its description no room, and tables are wider than the screen. The list of servers has one, this.
 */
const STYLE = `
      body { margin: 0; }
      .swagger-ui .topbar, .swagger-ui .scheme-container .schemes .schemes-server-container { display: none; }
      .swagger-ui .scheme-container { padding: 0; margin: 0; box-shadow: none; background: none; }
      html.dark-mode .swagger-ui .opblock.opblock .opblock-section-header { background: #ffffff14; }
      html:not(.dark-mode) .swagger-ui .opblock:not(.opblock-head) .opblock-summary-method { color: #0d1526; text-shadow: none; }
      html:not(.dark-mode) .swagger-ui .info .title small { background: #4d5566; }
      html:not(.dark-mode) .swagger-ui .info .title small.version-stamp { background: #47700a; }
      html:not(.dark-mode) .swagger-ui :is(.info a, .info .url) { color: #1d64b4; }
      html:not(.dark-mode) .swagger-ui .btn.authorize { color: #0c7443; border-color: #0c7443; }
      html:not(.dark-mode) .swagger-ui .btn.authorize svg { fill: #0c7443; }
      @media (max-width: 640px) {
        .swagger-ui .wrapper { padding: 0 12px; box-sizing: border-box; }
        .swagger-ui .opblock-tag { flex-wrap: wrap; position: relative; padding-right: 48px; }
        .swagger-ui .opblock-tag small { flex: 0 0 100%; padding: 4px 0; }
        .swagger-ui .opblock-tag .expand-operation { position: absolute; right: 8px; top: 12px; }
      }`;

/** Swagger UI styles its elements, and draws its icons from `data:`. */
const POLICY = { 'style-src': "'unsafe-inline'", 'img-src': "'self' data:" };

/** The explorer: Swagger UI over openapi.json. */
export function explorerPage(nonce: string): PageParts {
  return { title: 'Pigeonhole API', head: headOf(nonce), body: bodyOf(nonce), policy: POLICY };
}

function headOf(nonce: string): string {
  return `    <link rel="stylesheet" nonce="${nonce}" href="docs/swagger-ui.css">
    <style nonce="${nonce}">${STYLE}
    </style>
    <script nonce="${nonce}">
      // Swagger UI is dark by a class of the page, whatever the reader prefers.
      const dark = matchMedia('(prefers-color-scheme: dark)');
      const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
      dark.addEventListener('change', follow);
      follow();
    </script>`;
}

function bodyOf(nonce: string): string {
  return `    <div id="explorer"></div>
    <script nonce="${nonce}" src="docs/swagger-ui-bundle.js"></script>
    <script nonce="${nonce}">
      // Swagger UI makes one JSON string of text whose type has "json" in its name; lines of JSON are to stay as they are.
      const plainText = {
        afterLoad() {
          const { fn } = this;
          // Bodies of bytes are typed in like others: their examples are text.
          fn.isFileUploadIntended = () => false;
          const sampleOf = fn.getSampleSchema;
          fn.getSampleSchema = (schema, type, options, example) =>
            /ndjson/.test(type) && typeof example === 'string' ? example : sampleOf(schema, type, options, example);
        },
      };
      const ui = SwaggerUIBundle({
        url: 'openapi.json',
        dom_id: '#explorer',
        deepLinking: true,
        tryItOutEnabled: true,
        defaultModelsExpandDepth: 0,
        plugins: [plainText],
        onComplete: () => {
          // A link to one of its operations opens the group.
          const isLinked = /^#\\/HEAD/.test(location.hash);
          ui.layoutActions.show(['operations-tag', '${METHODS_TAG}'], isLinked);
        },
      });
    </script>`;
}
