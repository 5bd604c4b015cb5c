import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { runCli } from '../../support/cli.js';
import { setPath } from '../../support/http.js';
import { ask } from '../../support/http.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

test('set-clock says what the clock of a stopped database is, and leaves a right one alone', async () => {
  const folder = temporaryFolder();
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  await ask(server.port, setPath('a', 'b'));
  await server.end('SIGTERM');
  const { code, stdout, stderr } = await runCli(['set-clock', folder]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^The clock of .* is \d{4}-.*Z, which is not ahead .* Nothing was changed\.\n$/);
  expect(stdout).toContain(folder);
});

test('set-clock refuses a folder that a server uses, or that holds no database, in one line', async () => {
  const folder = temporaryFolder();
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  await ask(server.port, setPath('a', 'b'));
  const used = await runCli(['set-clock', folder]);
  expect(used).toMatchObject({ code: 1, stdout: '' });
  expect(used.stderr).toMatch(/^pigeonhole: the folder .* is in use by .*\n$/);
  expect((await ask(server.port, '/get?key=a')).text).toBe('{"a":"b"}');
  await server.end('SIGTERM');
  const none = await runCli(['set-clock', join(folder, 'none')]);
  expect(none).toMatchObject({ code: 1, stdout: '' });
  expect(none.stderr).toMatch(/^pigeonhole: .* holds no Pigeonhole database\.\n$/);
});
