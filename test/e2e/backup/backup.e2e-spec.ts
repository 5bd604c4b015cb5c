import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { ask, type Answer } from '../../support/http.js';
import { expectProblem, put } from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { startInProcess, type Target } from '../../support/target.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

const BY_ADMIN = bearer(ADMIN);
/** More than the buffers of a connection take. */
const LARGE = 12 * 2 ** 20;

const folder = temporaryFolder();
let server: ServerProcess;

async function start(): Promise<void> {
  server = await startServer({ DATABASE_URL: `lmdb:${folder}`, ADMIN_TOKEN: ADMIN });
}

beforeAll(async () => {
  await start();
  await put(server.port, 'large', randomBytes(LARGE), BY_ADMIN);
});

function backup(headers: object = BY_ADMIN, path = '/backup', method = 'GET'): Promise<Answer> {
  return ask(server.port, path, { method, headers: { ...headers } });
}

/** Begins a backup and reads nothing of it. */
function begin(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const question = {
      host: '127.0.0.1',
      port: server.port,
      path: '/backup',
      headers: BY_ADMIN,
      agent: false as const,
    };
    http.get(question, resolve).on('error', reject);
  });
}

/** The files in the data folder that hold anything of a backup. */
function leftOver(): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !['data.mdb', 'lock.mdb'].includes(entry.name))
    .map(({ name }) => name);
}

test('a backup is a file with its time in its name, its length and its digest', async () => {
  const answer = await backup();
  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': expect.stringMatching(
      /^attachment; filename="pigeonhole-[\d-]+T[\d-]+\.\d{3}Z\.backup"$/,
    ),
    'content-length': String(answer.bytes.length),
    'repr-digest': `sha-256=:${createHash('sha256').update(answer.bytes).digest('base64')}:`,
    'cache-control': 'no-store',
  });
  const [first] = answer.bytes.toString('latin1').split('\n', 1);
  expect(JSON.parse(first!)).toMatchObject({ entries: 1, bytes: answer.bytes.length });
});

test('HEAD makes no backup; OPTIONS says which methods there are; others are refused', async () => {
  const head = await backup(BY_ADMIN, '/backup', 'HEAD');
  expect({ status: head.status, type: head.headers['content-type'] }).toEqual({
    status: 200,
    type: 'application/octet-stream',
  });
  expect((await backup(BY_ADMIN, '/backup', 'OPTIONS')).headers.allow).toBe('GET, HEAD, OPTIONS');
  expectProblem(await backup(BY_ADMIN, '/backup', 'POST'), 405, 'method-not-allowed');
  expectProblem(await backup(BY_ADMIN, '/backup?x=1'), 400, 'invalid-parameter');
  expectProblem(await backup({ ...BY_ADMIN, 'If-Match': '"x"' }), 400, 'invalid-condition');
});

test('a backup needs a token that has the right `admin` and the whole database', async () => {
  expectProblem(await backup({}), 401, 'unauthenticated');
  const reader = await issue(server.port, { can: ['read', 'write', 'monitor'] });
  expectProblem(await backup(bearer(reader.token)), 403, 'forbidden');
  const jailed = await issue(server.port, { namespace: 'app/', can: ['read', 'write', 'admin'] });
  expectProblem(await backup(bearer(jailed.token)), 403, 'forbidden');
  const admin = await issue(server.port, { can: ['read', 'admin'] });
  expect((await backup(bearer(admin.token))).status).toBe(200);
});

test('there is one at a time, and none is left of a client that goes away', async () => {
  const first = await begin();
  const refused = await backup();
  expectProblem(refused, 503, 'busy');
  expect(refused.headers['retry-after']).toBe('1');
  expect((await put(server.port, 'beside', 'x', BY_ADMIN)).status).toBe(201);
  first.destroy();
  await eventually(async () => (await backup()).status === 200, 'the next backup');
  expect(leftOver()).toEqual([]);
});

test('nothing is left of a server that is killed in the middle', async () => {
  const first = await begin();
  first.on('error', () => undefined);
  await server.end('SIGKILL');
  expect(leftOver()).toEqual([]);
  await start();
  expect((await backup()).status).toBe(200);
});

describe('on an engine without backups', () => {
  let target: Target;
  beforeAll(async () => {
    target = await startInProcess();
  });
  afterAll(() => target.close());

  test('it is 501 and says what there is instead', async () => {
    const { detail } = expectProblem(await ask(target.port, '/backup'), 501, 'not-supported');
    expect(detail).toContain('application/x-ndjson');
    expect((await ask(target.port, '/backup', { method: 'HEAD' })).status).toBe(501);
  });
});

test('with workers there is one at a time in all of them', async () => {
  const shared = await startServer({ DATABASE_URL: `lmdb:${join(temporaryFolder(), 'data')}`, WORKERS: '2' });
  const answers = Array.from({ length: 8 }, () => ask(shared.port, '/backup', { agent: false }));
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 503]));
  await shared.end('SIGTERM');
});
