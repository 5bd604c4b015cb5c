import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import net from 'node:net';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { freshKey, put, valueOf } from '../../support/kv.js';
import { Random } from '../../support/random.js';
import { exchange, lines, type Exchange, type ExchangeOptions } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const HOST = 'Host: localhost';
const EVENTS = 'Accept: text/event-stream';
const NDJSON = 'Content-Type: application/x-ndjson';
/** As curl sends it with --http2. */
const UPGRADE = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
const LARGEST = 16 * 2 ** 20;

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

/** The bytes of a request. */
function request(method: string, path: string, body?: string, ...headers: string[]): string {
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return lines(`${method} ${path} HTTP/1.1`, HOST, ...length, ...headers) + (body ?? '');
}

function send(bytes: string, options?: ExchangeOptions): Promise<Exchange> {
  return exchange(server.port, bytes, options);
}

/** Sends requests in one piece and returns the statuses of all their answers. */
async function statusesOf(requests: readonly string[]): Promise<number[]> {
  const methods = requests.map((bytes) => bytes.slice(0, bytes.indexOf(' ')));
  const enough: ExchangeOptions['enough'] = (answers) => answers.length === requests.length;
  const { answers } = await send(requests.join(''), { methods, enough });
  return answers.map(({ status }) => status);
}

/** Each makes its requests for a key, and says how they are answered and what is stored then. */
const TOGETHER: [string, (key: string) => string[], number[], string | undefined][] = [
  ['PUT, DELETE', (key) => [putOf(key), request('DELETE', `/kv/${key}`)], [201, 204], undefined],
  ['DELETE, PUT', (key) => [request('DELETE', `/kv/${key}`), putOf(key)], [204, 201], 'v'],
  ['PUT, PATCH', (key) => [putOf(key, '10'), request('PATCH', `/kv/${key}?incr=1`)], [201, 200], '11'],
  ['PUT, GET', (key) => [putOf(key), request('GET', `/kv/${key}`)], [201, 200], 'v'],
  ['PUT, HEAD', (key) => [putOf(key), request('HEAD', `/kv?key=${key}`)], [201, 200], 'v'],
  ['GET, PUT', (key) => [request('GET', `/kv/${key}`), putOf(key)], [404, 201], 'v'],
  [
    '/set, /get',
    (key) => [request('GET', `/set?${key}=v`), request('GET', `/get?key=${key}`)],
    [201, 200],
    'v',
  ],
  [
    '/set as a URL, /get',
    (key) => [request('GET', `http://localhost/set?${key}=v`), request('GET', `/get?key=${key}`)],
    [201, 200],
    'v',
  ],
  ['a batch, DELETE', (key) => [batchOf(key), request('DELETE', `/kv/${key}`)], [200, 204], undefined],
  ['an import, DELETE', (key) => [importOf(key), request('DELETE', `/kv/${key}`)], [200, 204], undefined],
  ['an import, GET', (key) => [importOf(key), request('GET', `/kv/${key}`)], [200, 200], 'v'],
  [
    'PUT, DELETE of a range',
    (key) => [putOf(key), request('DELETE', `/kv?prefix=${key}`)],
    [201, 200],
    undefined,
  ],
];

function putOf(key: string, value = 'v'): string {
  return request('PUT', `/kv/${key}`, value);
}

function batchOf(key: string): string {
  return request('POST', '/batch', JSON.stringify({ ops: [{ op: 'put', key, value: 'v' }] }));
}

function importOf(key: string): string {
  return request('POST', '/kv', `${JSON.stringify({ key, value: 'v' })}\n`, NDJSON);
}

describe('requests that are sent together', () => {
  test.each(TOGETHER)('take effect in their order: %s', async (_, requestsOf, statuses, value) => {
    for (let round = 0; round < 5; round++) {
      const key = freshKey();
      expect(await statusesOf(requestsOf(key))).toEqual(statuses);
      expect(await valueOf(server.port, key)).toBe(value);
    }
  });

  test('of which one deletes 3000 keys, and the next writes the last of them', async () => {
    const keys = Array.from({ length: 3000 }, (_, i) => `many/${String(i).padStart(4, '0')}`);
    const body = keys.map((key) => `${JSON.stringify({ key, value: 'old' })}\n`).join('');
    await ask(server.port, '/kv', { method: 'POST', body, headers: { 'Content-Type': 'text/plain' } });
    const requests = [request('DELETE', '/kv?prefix=many/'), putOf(keys.at(-1)!, 'new')];
    expect(await statusesOf(requests)).toEqual([200, 201]);
    expect(await valueOf(server.port, keys.at(-1)!)).toBe('new');
  });

  test('in any mix are answered as if each had waited for the answer before it', async () => {
    const random = new Random(1);
    const mix = Array.from({ length: 400 }, () => anyRequest(random));
    const enough: ExchangeOptions['enough'] = (answers) => answers.length === mix.length;
    const bytes = mix.map(([method, path, body]) => request(method, `/kv/together/${path}`, body)).join('');
    const methods = mix.map(([method]) => method);
    const { answers } = await send(bytes, { enough, methods });
    for (const [index, [method, path, body]] of mix.entries()) {
      const { status, text } = await ask(server.port, `/kv/alone/${path}`, { method, body });
      const { status: expected, body: got } = answers[index]!;
      expect({ index, status: expected }).toEqual({ index, status });
      if (method === 'GET' || method === 'PATCH') expect(got.replaceAll('together', 'alone')).toBe(text);
    }
  });

  test('are all answered, however many, and however long the first of them waits', async () => {
    // Longer than the headers of a request may take to arrive.
    const slow = request('GET', '/kv/absent', undefined, 'Prefer: wait=12');
    const writes = Array.from({ length: 1000 }, (_, i) =>
      request('PUT', `/kv/counted?ttl=${i + 1}`, String(i)),
    );
    const statuses = await statusesOf([slow, ...writes]);
    expect(statuses).toEqual([404, 201, ...writes.slice(1).map(() => 200)]);
    expect(await valueOf(server.port, 'counted')).toBe('999');
  });

  test('behind one that waits are done when it is answered', async () => {
    const key = freshKey();
    const both = statusesOf([
      request('GET', `/kv/${key}`, undefined, 'Prefer: wait=60'),
      putOf(key, 'second'),
    ]);
    await put(server.port, `${key}/other`, 'v');
    expect(await valueOf(server.port, key)).toBeUndefined();
    await put(server.port, key, 'first');
    expect(await both).toEqual([200, 200]);
    expect(await valueOf(server.port, key)).toBe('second');
  });
});

/** A method, a path below the prefix of the test, and a body. */
function anyRequest(random: Random): [string, string, string | undefined] {
  const key = `k${random.below(3)}`;
  const value = String(random.below(100));
  const kinds: [string, string, string | undefined][] = [
    ['PUT', key, value],
    ['DELETE', key, undefined],
    ['PATCH', `${key}?incr=${value}`, undefined],
    ['GET', key, undefined],
    ['HEAD', key, undefined],
  ];
  return random.pick(kinds);
}

/** Each is answered with `Connection: close`, or ends the connection otherwise. */
const LAST: [string, string, number][] = [
  ['a GET with a body', request('GET', '/kv/absent', 'xx'), 404],
  ['a HEAD with a body', request('HEAD', '/kv/absent', 'xx'), 404],
  ['OPTIONS with a body', request('OPTIONS', '/kv/absent', 'xx'), 204],
  ['a DELETE with a body', request('DELETE', '/kv/absent', 'xx'), 204],
  [
    '/get with a body in chunks',
    `${lines('GET /get HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    400,
  ],
  ['a refused request with a body', request('PUT', '/kv/absent', 'xx', 'Sec-Fetch-Site: cross-site'), 403],
  ['an expectation that is not met', request('PUT', '/kv/absent', 'xx', 'Expect: foo'), 417],
  ['a body that is too large', lines('PUT /kv/absent HTTP/1.1', HOST, `Content-Length: ${LARGEST + 1}`), 413],
  ['a GET that asks for an upgrade', request('GET', '/kv/absent', undefined, ...UPGRADE), 404],
  ['a PUT that asks for an upgrade', request('PUT', '/kv/last', 'v', ...UPGRADE), 200],
  ['a GET that says so', request('GET', '/kv/absent', undefined, 'Connection: close'), 404],
  ['a PUT that says so', request('PUT', '/kv/last', 'v', 'Connection: close'), 200],
  ['HTTP/1.0', lines('GET /kv/absent HTTP/1.0', HOST), 404],
  ['a write in HTTP/1.0', lines('DELETE /kv/absent HTTP/1.0', HOST), 204],
  ['an export in HTTP/1.0', lines('GET / HTTP/1.0', HOST, 'Connection: keep-alive', 'TE: chunked'), 200],
  ['chunks in HTTP/1.0', inChunks('PUT /kv/chunks HTTP/1.0', 'Connection: keep-alive'), 201],
  ['HTTP/2.0', lines('GET / HTTP/2.0', HOST, 'Connection: keep-alive'), 505],
];

function inChunks(start: string, ...headers: string[]): string {
  return `${lines(start, HOST, ...headers, 'Transfer-Encoding: chunked')}1\r\nv\r\n0\r\n\r\n`;
}

describe('after the last answer of a connection nothing is done:', () => {
  beforeAll(() => put(server.port, 'last', 'v'));

  test.each(LAST)('%s', async (_, last, status) => {
    const key = freshKey();
    const method = last.slice(0, last.indexOf(' '));
    const { answers, closed } = await send(last + putOf(key), { methods: [method] });
    expect({ statuses: answers.map((answer) => answer.status), closed }).toEqual({
      statuses: [status],
      closed: true,
    });
    expect(answers[0]!.headers['connection']).toBe('close');
    expect(await valueOf(server.port, key)).toBeUndefined();
  });

  test('events', async () => {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(request('GET', '/kv?prefix=seen/', undefined, EVENTS) + putOf('seen/unanswered'));
    const seen = await textUntil(socket, 'event: ready');
    await put(server.port, 'seen/later', 'v');
    const all = seen + (await textUntil(socket, 'seen/later'));
    socket.destroy();
    expect(all).not.toContain('seen/unanswered');
  });

  test('what comes later is done neither, and the body of a request is never taken for another', async () => {
    const [key, inner] = [freshKey(), freshKey()];
    const upgrade = request('GET', '/kv/absent', undefined, ...UPGRADE);
    const body = putOf(inner);
    const head = lines(`PUT /kv/${key} HTTP/1.1`, HOST, `Content-Length: ${body.length}`);
    const socket = net.connect(server.port, '127.0.0.1').on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.write(upgrade + head);
    await textUntil(socket, '404');
    socket.write(body);
    socket.resume();
    await closed;
    expect(await valueOf(server.port, key)).toBeUndefined();
    expect(await valueOf(server.port, inner)).toBeUndefined();
  });

  test('a refused PUT, unless its answer leaves the connection open', async () => {
    const key = freshKey();
    const bytes = request('PUT', `/kv/${key}?ttl=0`, 'v') + putOf(key);
    const { answers } = await send(bytes, { enough: (all) => all.length === 2 });
    expect(answers[0]!.status).toBe(400);
    const isOpen = answers[0]!.headers['connection'] !== 'close';
    expect(answers.length).toBe(isOpen ? 2 : 1);
    expect(await valueOf(server.port, key)).toBe(isOpen ? 'v' : undefined);
  });

  test('errors without a body leave it open', async () => {
    const key = freshKey();
    expect(await statusesOf([request('GET', '/kv/'), request('GET', '/nothing'), putOf(key)])).toEqual([
      400, 404, 201,
    ]);
  });
});

/** What a connection brings until `text` is in it. */
async function textUntil(socket: net.Socket, text: string): Promise<string> {
  let seen = '';
  const onData = (chunk: Buffer) => (seen += String(chunk));
  socket.on('data', onData);
  await eventually(() => seen.includes(text), text);
  socket.off('data', onData);
  return seen;
}

const HALF_CLOSED: [string, string[], number[]][] = [
  ['PUT', [putOf('half')], [201]],
  ['GET', [request('GET', '/kv/half')], [200]],
  ['HEAD', [request('HEAD', '/kv/half')], [200]],
  ['PATCH', [request('PATCH', '/kv/number?incr=1')], [201]],
  ['a batch', [batchOf('half')], [200]],
  ['an import', [importOf('half')], [200]],
  ['an export', [request('GET', '/kv?prefix=', undefined, 'Accept: application/x-ndjson')], [200]],
  ['the whole database', [request('GET', '/')], [200]],
  [
    'three at once',
    [putOf('half'), request('DELETE', '/kv/half'), request('GET', '/kv/half')],
    [200, 204, 404],
  ],
  ['half a request', [request('PUT', '/kv/half').slice(0, -2)], [400]],
  ['half a body', [request('PUT', '/kv/half', 'value').slice(0, -1)], [400]],
  ['/set', [request('GET', '/set?half=v')], [201]],
  ['OPTIONS', [request('OPTIONS', '/kv/half')], [204]],
];

describe('a client that ends its side of the connection is answered:', () => {
  test.each(HALF_CLOSED)('%s', async (_, requests, statuses) => {
    const methods = requests.map((bytes) => bytes.slice(0, bytes.indexOf(' ')));
    const { answers, rest, closed } = await send(requests.join(''), { methods, halfClose: true });
    expect(answers.map(({ status }) => status)).toEqual(statuses);
    expect({ rest, closed }).toEqual({ rest: '', closed: true });
  });

  test('a long-poll', async () => {
    const key = freshKey();
    const poll = send(request('GET', `/kv/${key}`, undefined, 'Prefer: wait=60'), { halfClose: true });
    await put(server.port, `${key}/other`, 'v');
    await put(server.port, key, 'news');
    expect((await poll).answers).toMatchObject([{ status: 200, body: 'news' }]);
  });

  test('events', async () => {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.end(request('GET', '/kv?prefix=half/', undefined, EVENTS));
    await textUntil(socket, 'event: ready');
    await put(server.port, 'half/1', 'v');
    await textUntil(socket, 'half/1');
    socket.destroy();
  });
});

describe('a client that is gone', () => {
  test.each(['closes', 'resets'])('and %s the connection frees its place among the watchers', async (how) => {
    const small = await startServer({ MAX_WATCHERS: '1' });
    const socket = net.connect(small.port, '127.0.0.1');
    socket.write(request('GET', '/kv?prefix=', undefined, EVENTS));
    await textUntil(socket, 'event: ready');
    const headers = { Accept: 'text/event-stream' };
    expect((await ask(small.port, '/kv?prefix=', { headers })).status).toBe(503);
    if (how === 'closes') socket.destroy();
    else socket.resetAndDestroy();
    await eventually(async () => {
      const another = request('GET', '/kv?prefix=', undefined, EVENTS);
      const { answers } = await exchange(small.port, another, { enough: (all) => all.length > 0 });
      return answers[0]!.status === 200;
    }, 'a free place');
    await small.end();
  });
});
