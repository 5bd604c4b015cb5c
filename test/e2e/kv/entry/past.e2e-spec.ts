import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, type Answer } from '../../../support/http.js';
import { freshKey, JSON_TYPE, pathOf, put, twinOf, type Description } from '../../../support/kv.js';
import { startInProcess, type Target } from '../../../support/target.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../../support/tokens.js';

interface Item {
  readonly etag: string;
  readonly kind: string;
  readonly time: string;
  readonly by: string | null;
  readonly type: string | null;
  readonly size: number | null;
  readonly value?: string;
  readonly base64?: string;
}

interface History {
  readonly items: Item[];
  readonly next: string | null;
  readonly cut?: boolean;
}

let target: Target;
beforeAll(async () => {
  target = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}` });
});
afterAll(() => target.close());

function get(path: string, headers = {}): Promise<Answer> {
  return ask(target.port, path, { headers });
}

async function write(key: string, value: string | Buffer, headers = {}): Promise<string> {
  return (JSON.parse((await put(target.port, key, value, headers)).text) as Description).etag;
}

async function remove(key: string): Promise<string> {
  await ask(target.port, pathOf(key), { method: 'DELETE' });
  return (await historyOf(key)).items[0]!.etag;
}

async function historyOf(key: string, query = ''): Promise<History> {
  const answer = await get(`${pathOf(key)}?history=true${query}`);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.text) as History;
}

/** Status and code of an answer. */
function outcome({ status, text, headers }: Answer): string {
  const isProblem = headers['content-type'] === 'application/problem+json';
  return isProblem ? `${status} ${(JSON.parse(text) as { code: string }).code}` : String(status);
}

describe('the history of a key', () => {
  test('has every change, newest first, with time, type, size and value', async () => {
    const key = freshKey();
    const first = await write(key, '{"a":1}', JSON_TYPE);
    const second = await write(key, Buffer.from([0xff]));
    const gone = await remove(key);
    const third = await write(key, '');
    const { items, next, cut } = await historyOf(key);
    expect({ next, cut }).toEqual({ next: null, cut: undefined });
    expect(items.map((item) => ({ ...item, time: undefined }))).toEqual([
      {
        time: undefined,
        etag: third,
        kind: 'put',
        by: null,
        type: 'text/plain; charset=utf-8',
        size: 0,
        value: '',
      },
      { time: undefined, etag: gone, kind: 'delete', by: null, type: null, size: null },
      {
        time: undefined,
        etag: second,
        kind: 'put',
        by: null,
        type: 'application/octet-stream',
        size: 1,
        base64: '/w==',
      },
      {
        time: undefined,
        etag: first,
        kind: 'put',
        by: null,
        type: 'application/json',
        size: 7,
        value: '{"a":1}',
      },
    ]);
    const times = items.map(({ time }) => time);
    expect(times).toEqual(times.toSorted().toReversed());
    expect(JSON.parse((await get(`${twinOf(key)}&history=true`)).text)).toEqual(await historyOf(key));
  });

  test('comes in pages, which `next` and Link lead through, without values if so asked', async () => {
    const key = freshKey();
    for (let i = 0; i < 5; i++) await write(key, String(i));
    const seen: Item[] = [];
    let path: string | undefined = `${pathOf(key)}?history=true&limit=2&values=false`;
    while (path !== undefined) {
      const answer = await get(path);
      seen.push(...(JSON.parse(answer.text) as History).items);
      path = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
    }
    expect(seen.map(({ value }) => value)).toEqual(Array(5).fill(undefined));
    expect(seen.map(({ etag }) => etag)).toEqual((await historyOf(key)).items.map(({ etag }) => etag));
  });

  test('has a tag, so that a client that knows it gets 304, and HEAD its headers', async () => {
    const key = freshKey();
    await write(key, 'x');
    const path = `${pathOf(key)}?history=true`;
    const { headers } = await get(path);
    expect((await get(path, { 'If-None-Match': headers.etag })).status).toBe(304);
    const head = await ask(target.port, path, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '', headers: { etag: headers.etag } });
    await write(key, 'y');
    expect((await get(path, { 'If-None-Match': headers.etag })).status).toBe(200);
  });

  test('of a key that never was is empty', async () => {
    expect(await historyOf(freshKey())).toEqual({ items: [], next: null });
  });

  test('refuses what is no parameter of it, with a hint for tags in quotes', async () => {
    const key = freshKey();
    const etag = await write(key, 'x');
    for (const query of [
      'history=1',
      'history=true&after=',
      'history=true&at=x',
      'limit=1',
      'after=x',
      'history=true&limit=0',
      'history=true&delimiter=/',
      'history=true&watch=true',
    ])
      expect(`${query}: ${outcome(await get(`${pathOf(key)}?${query}`))}`).toBe(
        `${query}: 400 invalid-parameter`,
      );
    for (const after of ['nonsense', `%22${etag}%22`])
      expect(outcome(await get(`${pathOf(key)}?history=true&after=${after}`))).toBe('400 invalid-parameter');
    const quoted = await get(`${pathOf(key)}?at=%22${etag}%22`);
    expect(quoted.text).toContain('without its quotes');
    expect(outcome(await get(`${pathOf(key)}?history=true&after=00000001-0000000000001`))).toBe(
      '410 history-gone',
    );
    expect(outcome(await get(`${pathOf(key)}?history=false`))).toBe('200');
  });
});

describe('a version of a key', () => {
  test('is answered as it was, guarded as every value, with its neighbours', async () => {
    const key = freshKey();
    const first = await write(key, '<b>1</b>', { 'Content-Type': 'text/html' });
    const gone = await remove(key);
    const second = await write(key, 'two');
    const third = await write(key, 'three');
    const at = (tag: string) => `${pathOf(key)}?at=${tag}`;
    const answer = await get(at(second));
    expect(answer).toMatchObject({ status: 200, text: 'two' });
    expect(answer.headers).toMatchObject({
      etag: `"${second}"`,
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-cache',
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox') as unknown as string,
      link:
        `<${pathOf(key)}>; rel="original timegate", <${at(first)}>; rel="predecessor-version", ` +
        `<${at(third)}>; rel="successor-version"`,
    });
    expect(answer.headers['memento-datetime']).toBe(answer.headers['last-modified']);
    expect(await get(at(first))).toMatchObject({
      text: '<b>1</b>',
      headers: { 'content-type': 'text/html' },
    });
    expect(outcome(await get(at(gone)))).toBe('404 missing-key');
    const other = await write(freshKey(), 'other');
    expect((await get(at(other))).text).toBe('three');
    expect((await get(`${twinOf(key)}&at=${second}`)).text).toBe('two');
  });

  test('takes HEAD, Range and conditions as the present one does', async () => {
    const key = freshKey();
    const first = await write(key, 'abcdef');
    await write(key, 'x');
    const path = `${pathOf(key)}?at=${first}`;
    const head = await ask(target.port, path, { method: 'HEAD' });
    expect(head.headers).toMatchObject({ 'content-length': '6', etag: `"${first}"` });
    expect(await get(path, { Range: 'bytes=1-2' })).toMatchObject({ status: 206, text: 'bc' });
    expect((await get(path, { 'If-None-Match': `"${first}"` })).status).toBe(304);
    expect(outcome(await get(path, { 'If-Match': '"other"' }))).toBe('412 precondition-failed');
  });

  test('is found by its time, with an offset, and by Accept-Datetime, which says where it is', async () => {
    const key = freshKey();
    const first = await write(key, 'first');
    const [{ time }] = (await historyOf(key)).items as [Item];
    // Dates of HTTP are whole seconds.
    while (new Date().getTime() < new Date(time).getTime() + 2000) await pause(50);
    await write(key, 'second');
    const local = new Date(new Date(time).getTime() + 3_600_000).toISOString().replace('Z', '%2B01:00');
    for (const at of [time, local]) expect((await get(`${pathOf(key)}?at=${at}`)).text).toBe('first');
    expect(outcome(await get(`${pathOf(key)}?at=${time.replace('Z', '+00:00')}`))).toBe(
      '400 invalid-parameter',
    );
    const memento = await get(`${pathOf(key)}?at=${first}`);
    const negotiated = await get(pathOf(key), { 'Accept-Datetime': memento.headers['memento-datetime'] });
    expect(negotiated).toMatchObject({ status: 200, text: 'first' });
    expect(negotiated.headers).toMatchObject({
      vary: 'Accept, Accept-Datetime',
      'content-location': `${pathOf(key)}?at=${first}`,
      'memento-datetime': memento.headers['memento-datetime'],
      etag: `"${first}"`,
    });
    const early = { 'Accept-Datetime': 'Thu, 01 Jan 1970 00:00:00 GMT' };
    expect(outcome(await get(pathOf(key), early))).toBe('404 missing-key');
    const late = { 'Accept-Datetime': 'Thu, 31 Jan 2099 12:00:00 GMT' };
    expect((await get(pathOf(key), late)).text).toBe('second');
    for (const malformed of ['yesterday', '2030-01-31T12:00:00Z', 'Mon, 31 Feb 2026 00:00:00 GMT'])
      expect(outcome(await get(pathOf(key), { 'Accept-Datetime': malformed }))).toBe('400 malformed-request');
  });

  test('of more than 64 KiB shows size and tag, and its value only while it is the present one', async () => {
    const key = freshKey();
    const large = await write(key, Buffer.alloc(70_000, 'x'));
    expect((await get(`${pathOf(key)}?at=${large}`)).text).toHaveLength(70_000);
    await write(key, 'small');
    const { items } = await historyOf(key);
    expect(items[1]).toMatchObject({ etag: large, size: 70_000 });
    expect(items[1]).not.toHaveProperty('value');
    const answer = await get(`${pathOf(key)}?at=${large}`);
    expect(outcome(answer)).toBe('410 history-gone');
    expect(JSON.parse(answer.text)).toMatchObject({ limit: 65_536 });
    expect((await ask(target.port, `${pathOf(key)}?at=${large}`, { method: 'HEAD' })).status).toBe(200);
  });
});

describe('PUT with `from`', () => {
  function again(key: string, from: string, query = '', headers = {}): Promise<Answer> {
    return ask(target.port, `${pathOf(key)}?from=${from}${query}`, { method: 'PUT', headers });
  }

  test('stores value and type of an earlier version again, as a new write that can be undone too', async () => {
    const key = freshKey();
    const first = await write(key, '[1]', JSON_TYPE);
    const second = await write(key, 'two');
    const answer = await again(key, first);
    expect(answer.status).toBe(200);
    const { etag, type, size } = JSON.parse(answer.text) as Description;
    expect({ type, size }).toEqual({ type: 'application/json', size: 3 });
    expect([first, second]).not.toContain(etag);
    expect((await get(pathOf(key))).text).toBe('[1]');
    expect((await again(key, second)).status).toBe(200);
    expect((await get(pathOf(key))).text).toBe('two');
    expect((await historyOf(key)).items).toHaveLength(4);
  });

  test('undoes a delete, and is 404 for a version that is one', async () => {
    const key = freshKey();
    const first = await write(key, 'x');
    const gone = await remove(key);
    expect(outcome(await again(key, gone))).toBe('404 missing-key');
    const answer = await again(key, first);
    expect(answer).toMatchObject({ status: 201, headers: { location: pathOf(key) } });
    expect((await get(pathOf(key))).text).toBe('x');
  });

  test('has the expiry that it is given, and none without', async () => {
    const key = freshKey();
    const { text } = await ask(target.port, `${pathOf(key)}?ttl=1h`, { method: 'PUT', body: 'x' });
    const first = (JSON.parse(text) as Description).etag;
    const expiresOf = ({ text: json }: Answer) => (JSON.parse(json) as Description).expires;
    expect(expiresOf(await again(key, first))).toBeNull();
    expect(expiresOf(await again(key, first, '&ttl=2h'))).not.toBeNull();
    expect(expiresOf(await again(key, first, '&ttl=keep'))).not.toBeNull();
  });

  test('holds conditions, and takes no body', async () => {
    const key = freshKey();
    const first = await write(key, 'one');
    const second = await write(key, 'two');
    expect(outcome(await again(key, first, '', { 'If-Match': `"${first}"` }))).toBe(
      '412 precondition-failed',
    );
    expect(outcome(await again(key, first, '', { 'If-None-Match': '*' }))).toBe('412 precondition-failed');
    const path = `${pathOf(key)}?from=${first}`;
    for (const body of ['x', Buffer.alloc(100_000)])
      expect(outcome(await ask(target.port, path, { method: 'PUT', body }))).toBe('400 invalid-parameter');
    expect((await get(pathOf(key))).text).toBe('two');
    expect(outcome(await again(key, first, '', { 'If-Match': `"${second}"` }))).toBe('200');
    expect(outcome(await again(key, 'nonsense'))).toBe('400 invalid-parameter');
    expect(outcome(await again(key, '00000001-0000000000001'))).toBe('410 history-gone');
  });
});

describe('with tokens', () => {
  let guarded: Target;
  beforeAll(async () => {
    guarded = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}`, ADMIN_TOKEN: ADMIN });
  });
  afterAll(() => guarded.close());

  test('a jailed one sees the past of its namespace, and of its makers those that it could list', async () => {
    const { port } = guarded;
    const can = ['read', 'write', 'admin'];
    const jail = await issue(port, { namespace: 'app1/', can });
    const child = await issue(port, { can: ['read', 'write'] }, jail.token);
    const stranger = await issue(port, { namespace: 'app1/', can: ['read', 'write'] });
    const by = (token: string, method: string, path: string, body?: string) =>
      ask(port, path, { method, headers: bearer(token), ...(body !== undefined && { body }) });
    await by(ADMIN, 'PUT', '/kv/x', 'outside');
    for (const { token } of [jail, child, stranger]) await by(token, 'PUT', '/kv/x', 'inside');
    await by(ADMIN, 'PUT', '/kv/app1%2Fx', 'inside');
    const makers = async (token: string, path = '/kv/x') =>
      (JSON.parse((await by(token, 'GET', `${path}?history=true`)).text) as History).items.map(
        (item) => item.by,
      );
    expect(await makers(jail.token)).toEqual([null, null, child.id, jail.id]);
    expect(await makers(child.token)).toEqual([null, null, child.id, null]);
    expect(await makers(ADMIN, '/kv/app1%2Fx')).toEqual(['admin', stranger.id, child.id, jail.id]);
    expect(await makers(ADMIN)).toEqual(['admin']);

    // The tag of a change outside is a moment, and says nothing else.
    const outside = (JSON.parse((await by(ADMIN, 'PUT', '/kv/secret', 's')).text) as Description).etag;
    expect((await by(jail.token, 'GET', `/kv/x?at=${outside}`)).text).toBe('inside');
    const absent = await by(jail.token, 'GET', `/kv/secret?at=${outside}`);
    expect(outcome(absent)).toBe('404 missing-key');
    expect(absent.text).toContain('The key `secret`');
    expect((await by(jail.token, 'GET', '/kv/secret?history=true')).text).toBe('{"items":[],"next":null}\n');
  });

  test('reading the past needs `read`, and writing it again `write` and the conditions that the token needs', async () => {
    const { port } = guarded;
    const reader = await issue(port, { can: ['read'] });
    const writer = await issue(port, { can: ['write'] });
    const careful = await issue(port, { can: ['write'], requireConditions: true });
    const as = (token: string, method: string, path: string, headers = {}) =>
      ask(port, path, { method, headers: { ...bearer(token), ...headers } });
    const { etag } = JSON.parse(
      (await ask(port, '/kv/r', { method: 'PUT', headers: bearer(ADMIN), body: 'x' })).text,
    ) as Description;
    for (const path of ['/kv/r?history=true', `/kv/r?at=${etag}`]) {
      expect(outcome(await as(writer.token, 'GET', path))).toBe('403 forbidden');
      expect((await as(reader.token, 'GET', path)).status).toBe(200);
    }
    const again = `/kv/r?from=${etag}`;
    expect(outcome(await as(reader.token, 'PUT', again))).toBe('403 forbidden');
    expect(outcome(await as(careful.token, 'PUT', again))).toBe('428 condition-required');
    expect((await as(careful.token, 'PUT', again, { 'If-Match': '*' })).status).toBe(200);
    expect((await as(writer.token, 'PUT', again)).status).toBe(200);
  });
});
