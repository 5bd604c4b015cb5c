import { expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { exchange, lines } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, basic, bearer, issue } from '../../support/tokens.js';

/** Targets that may hold a value. */
const WITH_VALUES = [
  '/set?k=SECRET',
  '/set?k=a=SECRET',
  '/set?SECRET',
  '/set?=SECRET',
  '/set?k&v=SECRET',
  '/set#?k=SECRET',
  '/set?#k=SECRET',
  '/set/?k=SECRET',
  '/set/k=SECRET',
  '/SET?k=SECRET',
  '/%73et?k=SECRET',
  '//set?k=SECRET',
  '/sett?k=SECRET',
  '/?k=SECRET',
  '/getter?k=SECRET',
  '/get?k=SECRET',
  '/get?key=SECRET',
  '/kv?key=SECRET',
  '/kv?prefix=SECRET',
  '/kv/a?if=SECRET',
  '/kv/a?SECRET',
  '/kvs?k=SECRET',
  '/tokens?after=SECRET',
  '/batch?x=SECRET',
  '/health/ready?x=SECRET',
  '/docs?x=SECRET',
  'http://localhost/set?k=SECRET',
  'HTTP://localhost:4000/set#?k=SECRET',
  'http://user:SECRET@localhost/set?k=SECRET',
  'http://localhost?k=SECRET',
  'https://localhost/set?k=SECRET',
  'ftp://localhost/set?k=SECRET',
];
const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'];

interface AccessLine {
  readonly part?: string;
  readonly method: string;
  readonly path: string;
}

const logged = (server: ServerProcess) => Object.values(server.output()).join('');

/** The lines about requests, as objects. */
function accessLines(server: ServerProcess): AccessLine[] {
  const all = server.output().stdout.split('\n').slice(0, -1);
  return all.map((line) => JSON.parse(line) as AccessLine).filter(({ part }) => part === 'Access');
}

/** Sends a secret as value, token, query and password, in every method, and in what is malformed. */
async function sendSecrets({ port }: ServerProcess, secret: string): Promise<number> {
  let sent = 0;
  for (const [i, target] of WITH_VALUES.entries()) {
    const method = METHODS[i % METHODS.length]!;
    const authorization = [bearer(secret), basic(secret), { Authorization: `Digest ${secret}` }][i % 3]!;
    for (const header of [`Authorization: ${authorization.Authorization}`, `X-Any: ${secret}`]) {
      const head = [`${method} ${target.replace('SECRET', secret)} HTTP/1.1`, 'Host: localhost', header];
      const request = lines(...head, 'Connection: close', `Content-Length: ${secret.length}`) + secret;
      await exchange(port, request, { methods: [method] });
      sent++;
    }
  }
  const asAdmin = { ...bearer(ADMIN), 'Content-Type': 'application/json' };
  const bodies = {
    'PUT /kv/a': secret,
    'POST /batch': secret,
    'POST /tokens': `{"note":"${secret}"`,
    'POST /kv': secret,
  };
  for (const [request, body] of Object.entries(bodies)) {
    const [method, path] = request.split(' ') as [string, string];
    await ask(port, path, { method, body, headers: asAdmin, agent: false });
    sent++;
  }
  return sent;
}

test.each(['json', 'text'])(
  'values, tokens and queries never appear in the log, as %s',
  async (LOG_FORMAT) => {
    const settings = { LOG_FORMAT, ACCESS_LOG: 'true', DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN };
    const server = await startServer(settings);
    const secrets = Array.from({ length: 3 }, () => randomBytes(18).toString('hex'));
    let sent = 0;
    for (const secret of secrets) sent += await sendSecrets(server, secret);
    await ask(server.port, '/the/end', { agent: false });
    await eventually(() => logged(server).includes('/the/end'), 'the last line');
    for (const secret of [...secrets, ADMIN]) {
      expect(logged(server)).not.toContain(secret);
      expect(logged(server)).not.toContain(Buffer.from(`:${secret}`).toString('base64').slice(0, 20));
    }
    expect(logged(server)).not.toContain('user:');
    if (LOG_FORMAT === 'json') expect(accessLines(server)).toHaveLength(sent + 1);
    await server.end();
  },
);

test('a line has what a request was, what came of it, from whom, and in which trace', async () => {
  const settings = {
    ACCESS_LOG: 'true',
    DATABASE_URL: 'memory:',
    ADMIN_TOKEN: ADMIN,
    TRUSTED_PROXIES: '127.0.0.1',
  };
  const server = await startServer(settings);
  const { token, id } = await issue(server.port, { can: ['read', 'write'] });
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const headers = { ...bearer(token), 'X-Forwarded-For': '203.0.113.9' };
  const traced = (traceparent: string) => ({ ...headers, traceparent });
  await ask(server.port, '/kv/a%20b', {
    method: 'PUT',
    body: 'value',
    headers: traced(`00-${trace}-b7ad6b7169203331-01`),
  });
  await ask(server.port, '/kv/a%20b?x', { headers: traced(`00-${'0'.repeat(32)}-b7ad6b7169203331-01`) });
  await ask(server.port, '/get?key=a%20b', { headers: traced(`00-${trace}-b7ad6b7169203331-01-more`) });
  await ask(server.port, `/kv/%1B["${'k'.repeat(300)}`, { method: 'HEAD', headers: bearer(ADMIN) });
  await eventually(() => accessLines(server).length === 5, 'the lines');
  const common = { level: 'info', pid: server.pid, address: '203.0.113.9', token: id };
  const [, put, bad, get, long] = accessLines(server);
  expect(put).toMatchObject({ ...common, method: 'PUT', path: '/kv/a%20b', status: 201, trace });
  expect(bad).toMatchObject({ ...common, method: 'GET', path: '/kv/a%20b', status: 400 });
  expect(get).toMatchObject({ ...common, path: '/get', status: 200, bytes: '{"a b":"value"}'.length });
  for (const line of [bad, get]) expect(line).not.toHaveProperty('trace');
  expect(long).toMatchObject({ method: 'HEAD', token: 'admin', address: '127.0.0.1', bytes: 0 });
  expect(long!.path).toMatch(/^\/kv\/%1B\["k{247}…$/);
  await server.end();
});
