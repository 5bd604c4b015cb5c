import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { rmSync } from 'node:fs';
import { eventually } from '../../support/eventually.js';
import { ask, setPath, type Answer } from '../../support/http.js';
import { exchange, lines } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';
import { manyConnections, startWorkers } from '../../support/workers.js';

/* What load balancers and supervisors are told. */

const OK = '{"status":"ok"}\n';
const UP = { status: 'up' };
const READY = {
  status: 'ok',
  info: { server: UP, database: UP },
  error: {},
  details: { server: UP, database: UP },
};
const FINE = { code: 0, signal: null };
const FOREIGN = { Host: 'evil.example' };

let stopped: ServerProcess | undefined;
afterEach(() => stopped?.end());

interface Report {
  readonly status: string;
  readonly info: Record<string, { status: string; notes?: string[] }>;
  readonly error: Report['info'];
}

function reportIn({ text }: Answer): Report {
  return JSON.parse(text) as Report;
}

describe('a server without tokens', () => {
  let server: ServerProcess;
  beforeAll(async () => (server = await startServer()));
  afterAll(() => server.end());

  test('is alive and ready, says so to be stored by nobody, and shows its parts', async () => {
    const [live, ready] = [await ask(server.port, '/health/live'), await ask(server.port, '/health/ready')];
    expect([live.status, live.text, ready.status, reportIn(ready)]).toEqual([200, OK, 200, READY]);
    for (const { headers } of [live, ready])
      expect(headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
  });

  test.each(['/health/live', '/health/ready'])('answers %s without a Host to HTTP/1.0', async (path) => {
    const { answers } = await exchange(server.port, lines(`GET ${path} HTTP/1.0`));
    expect(answers[0]).toMatchObject({ status: 200, body: expect.stringContaining('"status":"ok"') });
  });

  test('answers health with any Host, and nothing else; whoever names one that is not ours gets no more than the status', async () => {
    for (const path of ['/health/live', '/health/ready', `http://evil.example/health/ready`]) {
      const { status, text } = await ask(server.port, path, { headers: FOREIGN });
      expect({ path, status, text }).toEqual({ path, status: 200, text: OK });
    }
    for (const path of ['/health', '/healthy', '/kv/health/ready', '/'])
      expect((await ask(server.port, path, { headers: FOREIGN })).status).toBe(421);
  });

  test('answers HEAD and OPTIONS, and refuses what would write', async () => {
    for (const path of ['/health/live', '/health/ready']) {
      expect(await ask(server.port, path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
      const { status, headers } = await ask(server.port, path, { method: 'POST' });
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
    }
  });
});

describe('where tokens are needed', () => {
  let server: ServerProcess;
  beforeAll(async () => (server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN })));
  afterAll(() => server.end());
  const readyFor = async (token?: string) =>
    ask(server.port, '/health/ready', token === undefined ? {} : { headers: bearer(token) });

  test('health needs none, and only the right `monitor` is told the reasons', async () => {
    const { token: reader } = await issue(server.port, { can: ['read', 'write', 'admin'] });
    const { token: monitor } = await issue(server.port, { can: ['monitor'], namespace: 'app/' });
    for (const token of [undefined, reader])
      expect(await readyFor(token)).toMatchObject({ status: 200, text: OK });
    for (const token of [monitor, ADMIN])
      expect(reportIn(await readyFor(token)).info['database']?.notes).toEqual([
        'The database is in memory only and ends with this process.',
      ]);
  });

  test('a wrong token changes nothing about health, and cannot be guessed by it', async () => {
    for (let i = 0; i < 20; i++)
      expect(await readyFor(`a-wrong-token-${i}`)).toMatchObject({ status: 200, text: OK });
    expect((await ask(server.port, '/', { headers: bearer('a-wrong-token') })).status).toBe(429);
    expect(await readyFor(ADMIN)).toMatchObject({ status: 200, text: OK });
    expect((await ask(server.port, '/health/live', { headers: bearer('x') })).status).toBe(200);
  });
});

describe('not ready', () => {
  test('is a server whose data folder is gone, which is alive all the same', async () => {
    const folder = temporaryFolder();
    stopped = await startServer({ DATABASE_URL: `lmdb:${folder}` });
    await ask(stopped.port, setPath('a', '1'));
    rmSync(folder, { recursive: true });
    const ready = await ask(stopped.port, '/health/ready');
    expect([ready.status, ready.headers['retry-after']]).toEqual([503, '1']);
    expect(reportIn(ready)).toMatchObject({
      status: 'error',
      info: { server: UP },
      error: {
        database: {
          status: 'down',
          notes: ['The folder of the database cannot be looked at: it may be gone.'],
        },
      },
    });
    expect(await ask(stopped.port, '/health/live')).toMatchObject({ status: 200, text: OK });
    // It shows what it still has, and takes nothing that it could not keep.
    expect((await ask(stopped.port, '/')).text).toBe('{"a":"1"}');
    expect(await ask(stopped.port, '/kv/b', { method: 'PUT', body: '1' })).toMatchObject({
      status: 503,
      text: expect.stringContaining('it may be gone. Nothing was written.'),
    });
  });
});

describe('a server that is told to stop', () => {
  test('is not ready at once and goes on serving for SHUTDOWN_DELAY; what it has taken on it finishes', async () => {
    stopped = await startServer({ SHUTDOWN_DELAY: '2s' });
    const { port, pid, exit } = stopped;
    const held = ask(port, '/kv/absent', { headers: { Prefer: 'wait=60' }, agent: false });
    await ask(port, setPath('a', '1'));
    process.kill(pid, 'SIGTERM');
    await eventually(async () => (await ask(port, '/health/ready')).status === 503, 'not ready');
    const ready = await ask(port, '/health/ready');
    expect(reportIn(ready)).toMatchObject({
      info: { database: UP },
      error: { server: { status: 'down', notes: ['The server is shutting down.'] } },
    });
    expect((await ask(port, '/health/live')).status).toBe(200);
    expect((await ask(port, setPath('late', '1'))).status).toBe(201);
    expect((await held).status).toBe(404);
    expect(await exit).toEqual(FINE);
    expect(stopped.output().stdout).toContain('the server goes on for 2 s, then requests under way finish');
  });

  test('is told so in all of its workers', async () => {
    stopped = await startWorkers(2, { SHUTDOWN_DELAY: '2s' });
    const { port, pid, exit } = stopped;
    const agents = manyConnections(2);
    const ready = () => Promise.all(agents.map((agent) => ask(port, '/health/ready', { agent })));
    for (const { status } of await ready()) expect(status).toBe(200);
    process.kill(pid, 'SIGTERM');
    await eventually(async () => (await ready()).every(({ status }) => status === 503), 'no worker ready');
    expect((await ask(port, setPath('late', '1'))).status).toBe(201);
    expect(await exit).toEqual(FINE);
    agents.forEach((agent) => agent.destroy());
  });
});
