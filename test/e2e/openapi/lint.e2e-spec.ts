import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { run } from '../../support/built.js';
import { ask } from '../../support/http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ DATABASE_URL: 'memory:' });
});
afterAll(() => server.end());

/** Rules that do not see through `oneOf: [{required}, {required}]`, or want a success of what only refuses. */
const MISTAKEN = ['no-required-schema-properties-undefined', 'operation-2xx-response'];

test('the OpenAPI document has nothing that the linter warns of', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'openapi.json');
  writeFileSync(file, (await ask(server.port, '/openapi.json')).text);
  const cli = join(
    dirname(createRequire(import.meta.url).resolve('@redocly/cli/package.json')),
    'bin',
    'cli.js',
  );
  const skipped = MISTAKEN.map((rule) => `--skip-rule=${rule}`);
  const { stdout, stderr, status } = await run(
    [process.execPath, cli, 'lint', file, '--format=json', ...skipped],
    {
      REDOCLY_TELEMETRY: 'off',
      REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
      HOME: folder,
    },
  );
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect((JSON.parse(stdout) as { problems: unknown[] }).problems).toEqual([]);
});
