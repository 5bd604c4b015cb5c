import { afterEach, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { run } from '../../support/built.js';
import { builtCli } from '../../support/cli.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { testWhere } from '../../support/requires.js';
import { builtServer, runToEnd, startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { eventually } from '../../support/eventually.js';
import { startWorkers, workersOf } from '../../support/workers.js';

let server: ServerProcess | undefined;
let container: ChildProcess | undefined;
afterEach(async () => {
  await server?.end();
  server = undefined;
  container?.kill('SIGKILL');
});

/** Starts a second server, which is refused, and returns the one line that says why. */
async function refusal(settings: Record<string, string>): Promise<string> {
  const { code, signal, stdout, stderr } = await runToEnd({ PORT: '0', ...settings });
  expect({ code, signal, stdout }).toEqual({ code: 1, signal: null, stdout: '' });
  expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
  return stderr;
}

describe('a second server on a folder', () => {
  test.each([1, 2])(
    'is refused, and told of the first, a server of %i processes, which goes on',
    async (workers) => {
      const DATABASE_URL = `lmdb:${join(temporaryFolder(), 'data')}`;
      const before = new Date().toISOString().slice(0, 10);
      server =
        workers > 1 ? await startWorkers(workers, { DATABASE_URL }) : await startServer({ DATABASE_URL });
      await ask(server.port, setPath('a', '1'));
      for (const WORKERS of ['1', '2']) {
        const line = await refusal({ DATABASE_URL, WORKERS });
        expect(line).toContain(`is in use by process ${server.pid} on `);
        expect(line).toContain(` since ${before.slice(0, 4)}-`);
      }
      if (workers > 1) {
        process.kill(workersOf(server)[0]!, 'SIGKILL');
        expect(await refusal({ DATABASE_URL })).toContain(`process ${server.pid} on `);
      }
      expect((await ask(server.port, getPath('a'), { agent: false })).text).toBe('{"a":"1"}');
    },
  );

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'is let in as soon as the first has ended by %s',
    async (signal) => {
      const DATABASE_URL = `lmdb:${temporaryFolder()}`;
      server = await startServer({ DATABASE_URL });
      await ask(server.port, setPath('a', '1'));
      await server.end(signal);
      server = await startServer({ DATABASE_URL });
      expect((await ask(server.port, getPath('a'))).text).toBe('{"a":"1"}');
    },
  );
});

const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child'];
const canContain = spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status === 0;
const it = testWhere(canContain, 'unshare --pid is not permitted, so no two processes can have one id');

it('a second process with the same id, as in another container, is told so, and not that the database is damaged', async () => {
  const DATABASE_URL = `lmdb:${temporaryFolder()}`;
  const settings = { PORT: '0', DATABASE_URL };
  container = spawn(CONTAINER[0]!, [...CONTAINER.slice(1), process.execPath, builtServer()], {
    env: { PATH: process.env['PATH'] ?? '', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const text of container.stdout!) if ((said += text).includes('Listening on')) break;

  // Containers have networks of their own, too.
  const second = await run([...CONTAINER, '--net', process.execPath, builtServer()], settings);
  expect(second).toMatchObject({ status: 1, stdout: '' });
  expect(second.stderr).toMatch(
    /^pigeonhole: [^\n]* is in use by process 1 of another container on [^\n]*\n$/,
  );

  const target = `lmdb:${join(temporaryFolder(), 'to')}`;
  const guest = await run([...CONTAINER, process.execPath, builtCli(), 'migrate', DATABASE_URL, target]);
  expect(guest).toMatchObject({ status: 1, stdout: '' });
  // LMDB's library puts words of its own before the line.
  expect(guest.stderr).toMatch(/pigeonhole: [^\n]* is in use by another process with the id 1, [^\n]*\n$/);

  container.kill('SIGKILL');
  await eventually(async () => {
    server = await startServer({ DATABASE_URL }).catch(() => undefined);
    return server !== undefined;
  }, 'a start after the kill');
});
