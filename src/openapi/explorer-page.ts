/** The explorer: Swagger UI over /openapi.json. Its addresses are relative, so that a proxy may strip a prefix. */
export function explorerPage(nonce: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Pigeonhole API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" nonce="${nonce}" href="docs/swagger-ui.css">
    <style nonce="${nonce}">body { margin: 0; } .swagger-ui .topbar { display: none; }</style>
  </head>
  <body>
    <div id="explorer"></div>
    <script nonce="${nonce}" src="docs/swagger-ui-bundle.js"></script>
    <script nonce="${nonce}">
      // Swagger UI makes one JSON string of text whose type has "json" in its name; lines of JSON are to stay as they are.
      const plainLines = {
        afterLoad() {
          const { fn } = this;
          const sampleOf = fn.getSampleSchema;
          fn.getSampleSchema = (schema, type, options, example) =>
            /ndjson/.test(type) && typeof example === 'string' ? example : sampleOf(schema, type, options, example);
        },
      };
      SwaggerUIBundle({
        url: 'openapi.json',
        dom_id: '#explorer',
        deepLinking: true,
        tryItOutEnabled: true,
        plugins: [plainLines],
      });
    </script>
  </body>
</html>
`;
}
