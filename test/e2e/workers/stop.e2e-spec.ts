import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { isAlive, manyConnections, startWorkers, workersOf, saidBy, howMany } from '../../support/workers.js';
import { longTest, shortOrLong } from '../../support/long-run.js';

const WORKERS = 2;
const FINE = { code: 0, signal: null };

let server: ServerProcess;
afterEach(() => server?.end());

describe('a server with workers ends', () => {
  const all: readonly (readonly [string, 'SIGTERM' | 'SIGINT' | 'SIGHUP', () => number[]])[] = [
    ['SIGTERM to the process that looks after them', 'SIGTERM', () => [server.pid]],
    ['SIGINT from a terminal, which all of them get', 'SIGINT', () => [server.pid, ...workersOf(server)]],
    ['SIGHUP of a terminal that is closed', 'SIGHUP', () => [...workersOf(server), server.pid]],
    [
      'SIGTERM to all of them, twice',
      'SIGTERM',
      () => [...workersOf(server), server.pid, ...workersOf(server)],
    ],
  ];
  test.each(shortOrLong(all.slice(0, 2), all))(
    'on %s: requests under way are answered, it exits with 0 and says so once',
    async (_what, signal, pids) => {
      server = await startWorkers(WORKERS);
      const workers = workersOf(server);
      const agents = manyConnections(WORKERS);
      await Promise.all(agents.map((agent) => ask(server.port, setPath('a', '1'), { agent })));
      const held = agents.map((agent) =>
        ask(server.port, '/kv/absent', { headers: { Prefer: 'wait=30' }, agent }),
      );
      await eventually(async () => (await ask(server.port, getPath('a'))).status === 200);
      for (const pid of pids()) process.kill(pid, signal);
      for (const { status } of await Promise.all(held)) expect([404, 503]).toContain(status);
      expect(await server.exit).toEqual(FINE);
      expect(workers.filter(isAlive)).toEqual([]);
      const said = saidBy(server);
      expect(howMany(said, 'Listening on')).toBe(1);
      expect(howMany(said, `Stopping on ${signal}`)).toBe(1);
      expect(howMany(said, 'Stopped')).toBe(1);
      expect(said.at(-1)).toBe('Stopped');
      expect(howMany(said, 'has ended')).toBe(0);
      expect(server.output().stderr).toBe('');
    },
  );

  test('with 0 when it is told to while workers are still starting', async () => {
    server = await startServer({ WORKERS: '8' });
    expect(await server.end('SIGTERM')).toEqual(FINE);
    expect(workersOf(server)).toEqual([]);
  });

  longTest(
    'with the process that looks after it, in the middle of writes, and its port and store are free at once',
    async () => {
      const DATABASE_URL = `lmdb:${temporaryFolder()}`;
      server = await startWorkers(WORKERS, { DATABASE_URL });
      const workers = workersOf(server);
      await ask(server.port, setPath('a', '1'));
      const { port } = server;
      const write = async (i: number): Promise<void> => {
        for (;;) if (!(await ask(port, setPath(`w${i}`, '1')).catch(() => undefined))) return;
      };
      const writing = Array.from({ length: 32 }, (_, i) => write(i));
      await eventually(async () => (await ask(port, getPath('w31'))).status === 200);
      await server.end('SIGKILL');
      await Promise.all(writing);
      await eventually(() => workers.filter(isAlive).length === 0);
      server = await startWorkers(WORKERS, { DATABASE_URL, PORT: String(port) });
      expect((await ask(port, getPath('a'))).text).toBe('{"a":"1"}');
      expect((await ask(port, setPath('a', '2'))).status).toBe(200);
    },
  );
});
