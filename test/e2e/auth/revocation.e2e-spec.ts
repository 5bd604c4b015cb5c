import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import http, { type OutgoingHttpHeaders } from 'node:http';
import { eventually } from '../../support/eventually.js';
import { EventStream } from '../../support/events.js';
import { ask } from '../../support/http.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';
import { manyConnections, startWorkers } from '../../support/workers.js';

const WORKERS = 4;
const ALL = ['read', 'write', 'monitor', 'admin'];

/** A long-poll for an entry that never comes. */
async function poll(port: number, headers: OutgoingHttpHeaders) {
  const answer = await ask(port, '/kv/absent', { headers: { ...headers, Prefer: 'wait=60' }, agent: false });
  return {
    status: answer.status,
    code: (JSON.parse(answer.text) as { code: string }).code,
    challenge: answer.headers['www-authenticate'],
  };
}

const BASIC = 'Basic realm="pigeonhole", charset="UTF-8"';
const REVOKED = {
  status: 401,
  code: 'invalid-token',
  challenge: `Bearer realm="pigeonhole", error="invalid_token", ${BASIC}`,
};

/** What a token has under way: a watch, a long-poll and an import whose body goes on. Resolves when all of it has ended. */
async function underWay(port: number, token: string): Promise<{ readonly ended: Promise<unknown> }> {
  const headers = bearer(token);
  const stream = await EventStream.open(port, '/kv?watch=true', headers);
  const polled = poll(port, headers).then((answer) => expect(answer).toEqual(REVOKED));
  const upload = importing(port, headers);
  await upload.begun;
  return { ended: Promise.all([stream.ended, polled, upload.answered]) };
}

/** An import that sends a line now and then, for ever. */
function importing(port: number, headers: OutgoingHttpHeaders) {
  const request = http.request({
    host: '127.0.0.1',
    port,
    path: '/kv',
    method: 'POST',
    headers,
    agent: false,
  });
  let lines = 0;
  const timer = setInterval(() => request.write(`{"key":"line/${lines++}","value":"x"}\n`), 20);
  const answered = new Promise<number | string>((resolve) => {
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    request.on('error', () => resolve('cut'));
  }).finally(() => {
    clearInterval(timer);
    request.destroy();
  });
  const begun = eventually(async () => {
    const { text } = await ask(port, '/kv?prefix=line/&limit=1', { headers });
    return text.includes('line/0');
  }, 'the first lines');
  return { begun, answered };
}

async function endsEverywhere(ports: readonly number[], agents: readonly http.Agent[]): Promise<number> {
  const parent = await issue(ports[0]!, { can: ['read', 'admin', 'write'] });
  const child = await issue(ports[0]!, { can: ['read', 'write'] }, parent.token);
  const headers = bearer(child.token);
  const everywhere = () =>
    Promise.all(
      ports.flatMap((port) =>
        agents.map(async (agent) => (await ask(port, '/kv?limit=1', { headers, agent })).status),
      ),
    );
  await eventually(async () => (await everywhere()).every((status) => status === 200), 'the new token');
  const all = await Promise.all(ports.map((port) => underWay(port, child.token)));
  const answer = await ask(ports[0]!, `/tokens/${parent.id}`, { method: 'DELETE', headers: bearer(ADMIN) });
  expect(answer.status).toBe(204);
  const revoked = performance.now();
  let last = revoked;
  await eventually(async () => {
    const statuses = await everywhere();
    if (statuses.includes(200)) last = performance.now();
    return !statuses.includes(200);
  }, 'the end of the token');
  await Promise.all(all.map(({ ended }) => ended));
  // Who goes on with it is refused as one who guesses.
  for (const status of await everywhere()) expect([401, 429]).toContain(status);
  return Math.round(last - revoked);
}

describe('a token that was revoked', () => {
  let server: ServerProcess;
  const agents = manyConnections(WORKERS);
  beforeAll(async () => {
    server = await startWorkers(WORKERS, { DATABASE_URL: `lmdb:${temporaryFolder()}`, ADMIN_TOKEN: ADMIN });
  });
  afterAll(async () => {
    agents.forEach((agent) => agent.destroy());
    await server.end('SIGTERM');
  });

  test('ends in every worker with all that its children have under way', async () => {
    const ms = await endsEverywhere([server.port], agents);
    process.stdout.write(
      `${WORKERS} workers: the last answer to a revoked token ${ms} ms after the revocation\n`,
    );
  });
});

describeOnRedis('a token that was revoked', (binary) => {
  test('ends on every server of the same Redis', async () => {
    const { url } = await startRedis({ binary });
    const settings = { DATABASE_URL: url, ADMIN_TOKEN: ADMIN };
    const servers = await Promise.all([startServer(settings), startServer(settings)]);
    const agents = [new http.Agent({ keepAlive: true }), new http.Agent({ keepAlive: true })];
    const ms = await endsEverywhere(
      servers.map(({ port }) => port),
      agents,
    );
    process.stdout.write(`2 servers: the last answer to a revoked token ${ms} ms after the revocation\n`);
    agents.forEach((agent) => agent.destroy());
    await Promise.all(servers.map((server) => server.end('SIGTERM')));
  });
});

describe('a server without tokens', () => {
  test('needs one from the first on, in every worker and after a restart', async () => {
    const folder = temporaryFolder();
    const settings = { DATABASE_URL: `lmdb:${folder}` };
    const open = await startWorkers(2, settings);
    const agents = manyConnections(2);
    const statuses = () =>
      Promise.all(agents.map(async (agent) => (await ask(open.port, '/', { agent })).status));
    // A request that is under way when it is no longer enough is cut off.
    const statusesOrCut = () => statuses().catch(() => []);
    expect(new Set(await statuses())).toEqual(new Set([200]));
    const body = '{"can":["read","write","monitor","admin"]}';
    const first = await ask(open.port, '/tokens', { method: 'POST', body });
    expect(first.status).toBe(201);
    await eventually(async () => {
      const all = await statusesOrCut();
      return all.length > 0 && all.every((status) => status === 401);
    }, 'every worker');
    agents.forEach((agent) => agent.destroy());
    await open.end('SIGTERM');
    const again = await startServer(settings);
    expect((await ask(again.port, '/')).status).toBe(401);
    const { token, id } = JSON.parse(first.text) as { token: string; id: string };
    expect((await ask(again.port, '/', { headers: bearer(token) })).status).toBe(200);
    const last = await ask(again.port, `/tokens/${id}`, { method: 'DELETE', headers: bearer(token) });
    expect(last.status).toBe(409);
    expect(last.text).toContain('the last token that can make all others');
    await again.end('SIGTERM');
  });

  test('ends what goes on without one, but not what only asks for tokens', async () => {
    const server = await startServer();
    const stream = await EventStream.open(server.port, '/kv?watch=true');
    const polled = poll(server.port, {});
    const upload = importing(server.port, {});
    await upload.begun;
    const body = '{"can":["read","write","monitor","admin"]}';
    expect((await ask(server.port, '/tokens', { method: 'POST', body })).status).toBe(201);
    await stream.ended;
    expect(await polled).toEqual({
      status: 401,
      code: 'unauthenticated',
      challenge: `Bearer realm="pigeonhole", ${BASIC}`,
    });
    expect([401, 'cut']).toContain(await upload.answered);
    await server.end('SIGTERM');
  });

  test('makes only a first token that can make all others', async () => {
    const server = await startServer();
    for (const request of [
      { can: ['read'] },
      { can: ['read', 'admin'] },
      { can: ALL, ttl: '1h' },
      { can: ALL, namespace: 'a/' },
      { can: ALL, requireConditions: true },
      { can: ALL, limits: { requests: 0 } },
    ]) {
      const answer = await ask(server.port, '/tokens', { method: 'POST', body: JSON.stringify(request) });
      expect(answer.status).toBe(409);
    }
    expect((await ask(server.port, '/')).status).toBe(200);
    expect(JSON.parse((await ask(server.port, '/tokens/self')).text)).toMatchObject({
      id: null,
      namespace: '',
    });
    await server.end('SIGTERM');
  });
});
