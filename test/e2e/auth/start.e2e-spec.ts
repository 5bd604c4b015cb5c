import { describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/app-config.js';
import { StartError } from '../../../src/errors.js';
import { Cli } from '../../support/cli.js';
import { ask } from '../../support/http.js';
import { runToEnd, startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer } from '../../support/tokens.js';

const OPEN_TO_OTHERS = { HOST: '0.0.0.0', PORT: '0' };

describe('a server that others can reach', () => {
  test.each(['1', '2'])(
    'does not start without a token, and says what to type: WORKERS=%s',
    async (WORKERS) => {
      const { code, stderr } = await runToEnd({ ...OPEN_TO_OTHERS, WORKERS });
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^pigeonhole: HOST 0\.0\.0\.0 can be reached by others, .*\n  export ADMIN_TOKEN=\$\(openssl rand -hex 24\)\n  pigeonhole\n.*ALLOW_ANONYMOUS=true.*\n$/,
      );
    },
  );

  test('starts with ADMIN_TOKEN, which opens it', async () => {
    const server = await startServer({ ...OPEN_TO_OTHERS, ADMIN_TOKEN: ADMIN });
    expect((await ask(server.port, '/')).status).toBe(401);
    expect((await ask(server.port, '/', { headers: bearer(ADMIN) })).status).toBe(200);
    expect(server.output().stdout + server.output().stderr).not.toContain(ADMIN);
    await server.end('SIGTERM');
  });

  test('starts with a token that the command line has made in its stopped database', async () => {
    const folder = temporaryFolder();
    const settings = { ...OPEN_TO_OTHERS, DATABASE_URL: `lmdb:${folder}` };
    const before = await startServer({ ...settings, HOST: '127.0.0.1' });
    await ask(before.port, '/set?a=1');
    const busy = await new Cli(['token', 'create', '--data', folder]).ended;
    expect(busy.code).toBe(1);
    expect(busy.stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
    await before.end('SIGTERM');
    const refused = await new Cli(['token', 'create', '--data', folder, '--can', 'read']).ended;
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('the first must be able to make all others');
    const { code, stdout } = await new Cli(['token', 'create', '--data', folder]).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^pgh_\w+\n$/);
    const reader = await new Cli([
      'token',
      'create',
      '--data',
      folder,
      '--can',
      'read',
      '--namespace',
      'app1/',
    ]).ended;
    const server = await startServer(settings);
    expect((await ask(server.port, '/')).status).toBe(401);
    expect((await ask(server.port, '/', { headers: bearer(stdout.trim()) })).text).toBe('{"a":"1"}');
    expect((await ask(server.port, '/', { headers: bearer(reader.stdout.trim()) })).text).toBe('{}');
    await server.end('SIGTERM');
  });
});

describe('ADMIN_TOKEN', () => {
  test.each([
    'short',
    'x'.repeat(15),
    'with spaces in the middle',
    'ümlaut-and-more-letters',
    'x'.repeat(1025),
  ])('has a form, and a refusal does not show it: %j', (token) => {
    const form = 'ADMIN_TOKEN must be at least 16 visible ASCII characters, without spaces.';
    expect(() => loadConfig({ ADMIN_TOKEN: token })).toThrow(new StartError(form));
  });

  test('may stand in a file', async () => {
    const file = join(temporaryFolder(), 'token');
    writeFileSync(file, `${ADMIN}\n`);
    const server = await startServer({ ADMIN_TOKEN_FILE: file });
    expect((await ask(server.port, '/')).status).toBe(401);
    expect((await ask(server.port, '/tokens/self', { headers: bearer(ADMIN) })).text).toContain(
      '"id":"admin"',
    );
    await server.end('SIGTERM');
    expect(() => loadConfig({ ADMIN_TOKEN_FILE: `${file}.not` })).toThrow(
      /^ADMIN_TOKEN_FILE .* cannot be read: ENOENT/,
    );
    const both = { ADMIN_TOKEN_FILE: file, ADMIN_TOKEN: ADMIN };
    expect(() => loadConfig(both)).toThrow(new StartError('Set ADMIN_TOKEN or ADMIN_TOKEN_FILE, not both.'));
  });
});
