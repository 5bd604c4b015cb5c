import { afterEach, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { Cli } from '../../support/cli.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { runToEnd, startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { startWorkers, workersOf } from '../../support/workers.js';
import { longTest } from '../../support/long-run.js';

const WORKERS = 3;
const FINE = { code: 0, signal: null };

let server: ServerProcess | undefined;
afterEach(async () => {
  await server?.end();
  server = undefined;
});

describe('a start that cannot succeed is told once, and ends with 1:', () => {
  const refusal = async (settings: Record<string, string>): Promise<string> => {
    const { code, signal, stdout, stderr } = await runToEnd({ PORT: '0', WORKERS: '3', ...settings });
    expect({ code, signal, stdout }).toEqual({ code: 1, signal: null, stdout: '' });
    expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
    return stderr;
  };

  test('a database of one process', async () => {
    expect(await refusal({ DATABASE_URL: 'memory:' })).toContain('Start the server without WORKERS.');
  });

  test('a folder of something else', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'letter.txt'), 'dear');
    expect(await refusal({ DATABASE_URL: `lmdb:${folder}` })).toContain(folder);
  });

  test('a port that is in use', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    expect(await refusal({ PORT: String(port) })).toContain(`PORT ${port} on 127.0.0.1 is in use`);
    other.close();
  });

  test('a Redis that is not there', async () => {
    expect(await refusal({ DATABASE_URL: 'redis://127.0.0.1:1' })).toContain('ECONNREFUSED');
  });

  test.each(['0', '65', '2x'])('WORKERS=%s', async (text) => {
    expect(await refusal({ WORKERS: text })).toContain(
      `WORKERS must be a number from 1 to 64, or auto, not "${text}".`,
    );
  });
});

describe('WORKERS', () => {
  test('auto is one process for each processor', async () => {
    server = await startServer({ WORKERS: 'auto' });
    await ask(server.port, setPath('a', '1'));
    expect((await ask(server.port, getPath('a'))).text).toBe('{"a":"1"}');
    expect(await server.end('SIGTERM')).toEqual(FINE);
  });

  test('is a flag of the command, whose other flags the workers get, too', async () => {
    const folder = join(temporaryFolder(), 'here');
    const cli = new Cli(['serve', '--workers', '2', '--port', '0', '--database-url', `lmdb:${folder}`]);
    await cli.waitFor('Listening on');
    expect(cli.stdout).toContain(`data in lmdb:${folder}`);
    await eventually(() => workersOf(cli).length === 2);
    cli.signal('SIGTERM');
    expect(await cli.ended).toMatchObject(FINE);
  });

  longTest(
    'of a database that is being migrated: the migration goes on until all of them have stopped',
    async () => {
      const from = `lmdb:${join(temporaryFolder(), 'from')}`;
      const to = `lmdb:${join(temporaryFolder(), 'to')}`;
      server = await startWorkers(WORKERS, { DATABASE_URL: from });
      await ask(server.port, setPath('early', '1'));
      const migrate = new Cli(['migrate', from, to]);
      await migrate.waitFor('Following what changes.');
      process.kill(workersOf(server)[0]!, 'SIGKILL');
      for (let i = 0; i < 100; i++) await ask(server.port, setPath(`late${i}`, '1')).catch(() => undefined);
      expect(migrate.stdout).not.toContain('has stopped');
      expect(await server.end('SIGTERM')).toEqual(FINE);
      const { code, stdout } = await migrate.ended;
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/The old server has stopped[^]*0 differences/),
      });
      const moved = await startServer({ DATABASE_URL: to });
      expect(JSON.parse((await ask(moved.port, '/')).text)).toMatchObject({ early: '1', late99: '1' });
      await moved.end();
    },
  );
});
