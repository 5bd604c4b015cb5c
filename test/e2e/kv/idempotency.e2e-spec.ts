import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ask, type Answer, type Question as Options } from '../../support/http.js';
import {
  expectProblem,
  freshKey,
  JSON_TYPE,
  MERGE_PATCH,
  NDJSON,
  pathOf,
  twinOf,
  valueOf,
} from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

/* Writes with an Idempotency-Key, as clients see them: done once, and answered the same to the byte. */

let server: ServerProcess;
let key: string;
let made = 0;
let name: string;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());
beforeEach(() => {
  key = freshKey();
  name = `write-${made++}`;
});

const TEXT = { 'Content-Type': 'text/plain' };

function send(url: string, options: Options = {}, idempotencyKey: string = name): Promise<Answer> {
  const headers = { ...options.headers, 'Idempotency-Key': idempotencyKey };
  return ask(server.port, url, { ...options, headers });
}

/** What of an answer must not change, which is all but its own date and that it is a repeat. */
function same({ status, headers, bytes }: Answer): unknown {
  const { date: _, 'idempotency-replayed': __, ...others } = headers;
  return { status, headers: others, body: bytes.toString('latin1') };
}

function isReplay({ headers }: Answer): boolean {
  return headers['idempotency-replayed'] === 'true';
}

/** Sends a write twice. Returns the first answer, which the second has to be again. */
async function twice(url: string, options: Options = {}, idempotencyKey?: string): Promise<Answer> {
  const first = await send(url, options, idempotencyKey);
  const second = await send(url, options, idempotencyKey);
  expect([isReplay(first), isReplay(second)]).toEqual([false, true]);
  expect(same(second)).toEqual(same(first));
  const kept = Date.parse(String(first.headers['idempotency-expires'])) - Date.now();
  expect(kept / 3_600_000).toBeGreaterThan(23);
  expect(kept / 3_600_000).toBeLessThanOrEqual(24.1);
  return first;
}

/** Sends a write with a time to come, which a busy machine may take longer than. */
async function sendInTime(
  write: (expires: string) => Promise<Answer>,
  wait = 300,
): Promise<{ expires: string; answer: Answer }> {
  const expires = new Date(Date.now() + wait).toISOString();
  const answer = await write(expires);
  return answer.status === 400 ? sendInTime(write, 2 * wait) : { expires, answer };
}

function ops(...operations: object[]): Options {
  return { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ ops: operations }) };
}

describe('a repeat is answered as the first was, and changes nothing, for', () => {
  test('PUT that creates, replaces, expires, and whose time is over when it is repeated', async () => {
    expect((await twice(pathOf(key), { method: 'PUT', body: 'x', headers: TEXT })).status).toBe(201);
    expect((await twice(pathOf(key), { method: 'PUT', body: 'y', headers: TEXT }, `${name}b`)).status).toBe(
      200,
    );
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'other' });
    await twice(`${pathOf(key)}?ttl=1h`, { method: 'PUT', body: 'z' }, `${name}c`);
    const late = { method: 'PUT', body: 'late' };
    const first = await sendInTime((expires) => send(`${pathOf(key)}?expires=${expires}`, late, expires));
    const { expires } = first;
    await new Promise((resolve) => setTimeout(resolve, Date.parse(expires) - Date.now() + 10));
    const second = await send(`${pathOf(key)}?expires=${expires}`, late, expires);
    expect([first.answer.status, isReplay(second)]).toEqual([200, true]);
    expect(same(second)).toEqual(same(first.answer));
    const other = await send(`${pathOf(key)}?expires=${expires}`, late, `${name}e`);
    expectProblem(other, 400, 'invalid-parameter');
  });

  test('PATCH that counts, touches and edits', async () => {
    for (const [i, expected] of ['2', '4', '6'].entries())
      expect((await twice(`${pathOf(key)}?incr=2`, { method: 'PATCH' }, `${name}/${i}`)).text).toBe(expected);
    await twice(`${pathOf(key)}?ttl=1h`, { method: 'PATCH' }, `${name}t`);
    const other = freshKey();
    await ask(server.port, pathOf(other), { method: 'PUT', headers: JSON_TYPE, body: '{"n":1}' });
    const edit = { method: 'PATCH', headers: MERGE_PATCH, body: '{"m":2}' };
    expect((await twice(pathOf(other), edit, `${name}m`)).text).toBe('{"n":1,"m":2}');
    await ask(server.port, pathOf(other), { method: 'PUT', headers: JSON_TYPE, body: '{"n":9}' });
    expect((await send(pathOf(other), edit, `${name}m`)).text).toBe('{"n":1,"m":2}');
    expect(await valueOf(server.port, other)).toBe('{"n":9}');
  });

  test('DELETE, which leaves what was stored since', async () => {
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'x' });
    expect((await twice(pathOf(key), { method: 'DELETE' })).status).toBe(204);
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'y' });
    expect(isReplay(await send(pathOf(key), { method: 'DELETE' }))).toBe(true);
    expect(await valueOf(server.port, key)).toBe('y');
  });

  test('/set', async () => {
    const url = `/set?${encodeURIComponent(key)}=x`;
    expect(await twice(url)).toMatchObject({ status: 201, text: `{"${key}":"x"}` });
  });

  test('a batch, with the values that it read and the operations that were refused', async () => {
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'before' });
    const operations = [
      { op: 'get', key },
      { op: 'put', key, value: 'after' },
      { op: 'get', key },
      { op: 'incr', key: `${key}/n` },
      { op: 'get', key: `${key}/absent` },
    ];
    const first = await twice('/batch', ops(...operations));
    expect(first.text).toContain('"value":"before"');
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'later' });
    expect((await send('/batch', ops(...operations))).text).toBe(first.text);
    const mixed = [
      { op: 'incr', key },
      { op: 'incr', key: `${key}/n` },
      { op: 'put', key: '', value: '' },
    ];
    const body = JSON.stringify({ atomic: false, ops: mixed });
    await twice('/batch', { method: 'POST', headers: JSON_TYPE, body }, `${name}p`);
    expect(await valueOf(server.port, `${key}/n`)).toBe('2');
  });

  test('what the write decided against: 404, 409 and 412, with the tag and the index', async () => {
    expectProblem(await twice(`${pathOf(key)}?ttl=1h`, { method: 'PATCH' }), 404, 'missing-key');
    const edit = { method: 'PATCH', headers: MERGE_PATCH, body: '{}' };
    expectProblem(await twice(pathOf(key), edit, `${name}m`), 404, 'missing-key');
    await ask(server.port, pathOf(key), { method: 'PUT', body: 'text' });
    expectProblem(await send(pathOf(key), edit, `${name}m`), 404, 'missing-key');
    expectProblem(
      await twice(`${pathOf(key)}?incr=1`, { method: 'PATCH' }, `${name}i`),
      409,
      'not-an-integer',
    );
    expectProblem(await twice(pathOf(key), edit, `${name}j`), 409, 'not-json');
    const create = { method: 'PUT', body: 'x', headers: { 'If-None-Match': '*' } };
    const refused = await twice(pathOf(key), create, `${name}c`);
    const { etag } = expectProblem(refused, 412, 'precondition-failed');
    expect(refused.headers.etag).toBe(`"${String(etag)}"`);
    const batch = await twice('/batch', ops({ op: 'get', key }, { op: 'incr', key }), `${name}b`);
    expect(expectProblem(batch, 409, 'not-an-integer').index).toBe(1);
  });
});

describe('the key', () => {
  test('belongs to one request: another method, URL, condition, type or body is 422, and nothing is done', async () => {
    const write = { method: 'PUT', body: '1', headers: TEXT };
    await send(pathOf(key), write);
    const others: [string, Options][] = [
      [pathOf(key), { ...write, body: '2' }],
      [pathOf(key), { ...write, headers: {} }],
      [pathOf(key), { ...write, headers: { ...TEXT, 'If-Match': '*' } }],
      [`${pathOf(key)}?ttl=1h`, write],
      [pathOf(`${key}x`), write],
      [`${pathOf(key)}?incr=1`, { method: 'PATCH' }],
      [pathOf(key), { method: 'DELETE' }],
      ['/batch', ops({ op: 'delete', key })],
    ];
    for (const [url, options] of others) expectProblem(await send(url, options), 422, 'idempotency-mismatch');
    expect((await send(`/set?${encodeURIComponent(key)}=x`)).status).toBe(422);
    expect(await valueOf(server.port, key)).toBe('1');
    expect(isReplay(await send(pathOf(key), write))).toBe(true);
    expect(isReplay(await send(twinOf(key), write))).toBe(true);
  });

  test('is a plain or a quoted text, of 1 to 255 visible characters, once', async () => {
    const count = (idempotencyKey: string | string[]) =>
      ask(server.port, `${pathOf(key)}?incr=1`, {
        method: 'PATCH',
        headers: { 'Idempotency-Key': idempotencyKey },
      });
    for (const [i, [plain, quoted]] of [
      [`${name}-a`, `"${name}-a"`],
      [`${name}"b`, `"${name}\\"b"`],
      [`${name}\\c`, `"${name}\\\\c"`],
      [name.padEnd(255, 'x'), `"${name.padEnd(255, 'x')}"`],
    ].entries()) {
      expect((await count(plain!)).text).toBe(String(i + 1));
      expect((await count(quoted!)).text).toBe(String(i + 1));
    }
    const malformed = ['', '""', '"a', '"a\\b"', '"a";b=1', 'a b', '"a b"', 'é', 'x'.repeat(256), ['a', 'b']];
    for (const each of malformed) expectProblem(await count(each), 400, 'invalid-idempotency-key');
    expect(await valueOf(server.port, key)).toBe('4');
  });

  test('may be used again after what was refused before the write', async () => {
    const headers = JSON_TYPE;
    expectProblem(await send(pathOf(key), { method: 'PUT', headers, body: '{' }), 400, 'invalid-json');
    const answer = await send(pathOf(key), { method: 'PUT', headers, body: '{}' });
    expect([answer.status, isReplay(answer)]).toEqual([201, false]);
  });

  test('is refused where repeating is safe, or an answer is not kept, and ignored by reads', async () => {
    const line = JSON.stringify({ key, value: 'x' });
    const refused = [
      await send('/kv', { method: 'POST', headers: NDJSON, body: line }),
      await send(`/kv?prefix=${key}`, { method: 'DELETE' }),
      await send('/tokens', { method: 'POST', headers: JSON_TYPE, body: '{}' }),
    ];
    for (const answer of refused) expectProblem(answer, 400, 'invalid-idempotency-key');
    const read = await send('/kv?limit=1');
    expect([read.status, read.headers['idempotency-expires']]).toEqual([200, undefined]);
  });

  test('of tries at the same time has one of them do it, and all be answered alike', async () => {
    const tries = Array.from({ length: 20 }, () => send(`${pathOf(key)}?incr=1`, { method: 'PATCH' }));
    const answers = await Promise.all(tries);
    expect(answers.filter((answer) => !isReplay(answer))).toHaveLength(1);
    for (const answer of answers) expect(same(answer)).toEqual(same(answers[0]!));
  });
});

test('a batch whose answer may be too large to be kept is refused before anything is done', async () => {
  const value = 'x'.repeat(3 * 2 ** 20);
  await ask(server.port, pathOf(key), { method: 'PUT', body: value });
  const get = { op: 'get', key };
  const problem = expectProblem(
    await send('/batch', ops({ op: 'put', key: `${key}/new`, value: '' }, get, get)),
    413,
    'body-too-large',
  );
  expect(problem).toMatchObject({ limit: 4 * 2 ** 20, setting: 'IDEMPOTENCY_BYTES' });
  expect(await valueOf(server.port, `${key}/new`)).toBeUndefined();
});

describe('with other settings', () => {
  test('a restart, kill -9 included, and every worker give the first answer', async () => {
    const settings = { DATABASE_URL: `lmdb:${temporaryFolder()}`, WORKERS: '2' };
    const first = await startServer(settings);
    const headers = { 'Idempotency-Key': 'a', Connection: 'close' };
    const count = ({ port }: ServerProcess) => ask(port, '/kv/n?incr=1', { method: 'PATCH', headers });
    const answers = [await count(first)];
    for (let i = 0; i < 10; i++) answers.push(await count(first));
    await first.end('SIGKILL');
    const second = await startServer(settings);
    answers.push(await count(second));
    await second.end();
    expect(answers.map(isReplay)).toEqual([false, ...Array<boolean>(11).fill(true)]);
    for (const answer of answers) expect(same(answer)).toEqual(same(answers[0]!));
  });

  test('keys of different tokens are different ones, those of a namespace too; a new secret keeps them', async () => {
    const guarded = await startServer({ ADMIN_TOKEN: ADMIN });
    const jailed = await issue(guarded.port, { can: ['read', 'write'], namespace: 'app/' });
    const other = await issue(guarded.port, { can: ['read', 'write'], namespace: 'app/' });
    const count = (token: string) =>
      ask(guarded.port, '/kv/n?incr=1', {
        method: 'PATCH',
        headers: { ...bearer(token), 'Idempotency-Key': 'a' },
      });
    const texts = [ADMIN, jailed.token, other.token, ADMIN, jailed.token, other.token].map(count);
    expect((await Promise.all(texts)).map(({ text }) => text).toSorted()).toEqual([
      '1',
      '1',
      '1',
      '1',
      '2',
      '2',
    ]);
    const { token } = JSON.parse(
      (await ask(guarded.port, `/tokens/${jailed.id}/rotate`, { method: 'POST', headers: bearer(ADMIN) }))
        .text,
    ) as { token: string };
    expect(isReplay(await count(token))).toBe(true);
    const absent = { method: 'PATCH', headers: { ...bearer(token), 'Idempotency-Key': 'b' } };
    const refusals = [1, 2].map(() => ask(guarded.port, '/kv/absent?ttl=1h', absent));
    for (const refusal of await Promise.all(refusals))
      expect(expectProblem(refusal, 404, 'missing-key').detail).toContain('`absent`');
    await guarded.end();
  });
});
