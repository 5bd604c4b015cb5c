import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import net from 'node:net';
import { ask, setPath, unescapedBytes } from '../../support/http.js';
import { exchange, lines, type Exchange, type RawAnswer } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { GET, HOST, MALFORMED, TARGETS } from './raw-requests.cases.js';

function expectError({ status, headers, body }: RawAnswer, statuses: readonly number[]): void {
  expect(statuses).toContain(status);
  const error = JSON.parse(body) as Record<string, unknown>;
  expect(Object.keys(error)).toEqual(['title', 'detail']);
  expect(error).toEqual({ title: expect.stringMatching(/./), detail: expect.stringMatching(/./) });
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
  });
}

describe('raw requests', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer();
    await ask(server.port, setPath('before', 'it'));
  });
  afterAll(() => server.end());
  let before: string;
  beforeEach(async () => {
    before = (await ask(server.port, '/')).text;
  });
  afterEach(async () => {
    expect((await ask(server.port, '/')).text).toBe(before);
    expect(server.output().stderr).toBe('');
  });

  /** The exchange until the first answer, or the end. */
  function first(bytes: string): Promise<Exchange> {
    return exchange(server.port, bytes, { enough: (answers) => answers.length > 0 });
  }

  test.each(MALFORMED)('$input is $status', async ({ bytes, status }) => {
    const { answers } = await first(bytes);
    expect(answers.length).toBe(1);
    expectError(answers[0]!, status);
  });

  test.each(MALFORMED.filter(({ status }) => [400, 505].includes(status[0]!) && !status.includes(421)))(
    'the connection ends after $input',
    async ({ input, bytes }) => {
      // These are well-formed requests: the connection can go on.
      if (/no Host|Hosts|target/.test(input)) return;
      const { answers, closed } = await exchange(server.port, `${bytes}${lines(GET, HOST)}`);
      expect(closed).toBe(true);
      expect(answers.length).toBe(1);
    },
  );

  test.each(TARGETS)('$input is $status', async ({ bytes, status }) => {
    const { answers } = await first(bytes);
    expect(status).toContain(answers[0]?.status);
    if (answers[0]!.status >= 400) expectError(answers[0]!, status);
  });

  test('OPTIONS * tells the methods of the server', async () => {
    const { answers } = await first(lines('OPTIONS * HTTP/1.1', HOST));
    expect(answers[0]).toMatchObject({
      status: 204,
      headers: { allow: 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS', 'cache-control': 'no-store' },
    });
  });

  const BROKEN = ['/kv/é', '/kv?key=é', '/batch?é'];
  test.each(BROKEN)('the path decides the form of the error where it is in sight: %s', async (path) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { answers } = await first(lines(`${method} ${unescapedBytes(path)} HTTP/1.1`, HOST));
      expect(answers[0]).toMatchObject({
        status: 400,
        headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
      });
      expect(JSON.parse(answers[0]!.body)).toMatchObject({ code: 'malformed-request', status: 400 });
    }
    const { answers } = await first(lines(`GET /kv/a HTTP/1.1`, HOST, 'no header'));
    expect(answers[0]!.headers['content-type']).toBe('application/problem+json');
  });

  test('an error is not in the form of the request before it', async () => {
    const before = lines('GET /kv/before HTTP/1.1', HOST);
    const { answers } = await exchange(server.port, `${before}garbage\r\n\r\n`);
    expect(answers[0]!.status).toBe(200);
    expectError(answers[1]!, [400]);
  });

  test('CONNECT is refused', async () => {
    const { answers, closed } = await exchange(server.port, lines('CONNECT example.com:443 HTTP/1.1', HOST));
    expect(closed).toBe(true);
    expectError(answers[0]!, [400]);
    expect(answers[0]!.body).toContain('no proxy');
  });

  test('a body that breaks off is told so', async () => {
    const half = `${lines('PUT /kv/half HTTP/1.1', HOST, 'Content-Length: 5')}ab`;
    const { answers } = await exchange(server.port, half, { halfClose: true });
    expect(answers[0]).toMatchObject({ status: 400, body: expect.stringContaining('in the middle') });
  });

  test('unescaped UTF-8 in a URL is refused with the advice to escape it', async () => {
    for (const path of ['/set?é=v', '/set?k=é', '/get?key=é', '/é']) {
      const { answers } = await first(lines(`GET ${unescapedBytes(path)} HTTP/1.1`, HOST));
      expectError(answers[0]!, [400]);
      expect(answers[0]!.body).toContain('%C3%A9');
    }
  });

  test('a thousand pipelined requests are all answered, in order', async () => {
    const keys = Array.from({ length: 1000 }, (_, i) => `absent${i}`);
    const bytes = keys.map((key) => lines(`GET /get?key=${key} HTTP/1.1`, HOST)).join('');
    const { answers } = await exchange(server.port, bytes, { enough: (all) => all.length === keys.length });
    expect(answers.map(({ body }) => (JSON.parse(body) as { detail: string }).detail)).toEqual(
      keys.map((key) => `The key \`${key}\` is not in the database`),
    );
  });

  test('GET with an endless body is answered, and its connection ends', async () => {
    const { answers, closed } = await exchange(
      server.port,
      lines(GET, HOST, 'Transfer-Encoding: chunked') + '5\r\nhello\r\n',
      { endless: `1000\r\n${'x'.repeat(0x1000)}\r\n` },
    );
    expect(answers[0]).toMatchObject({ status: 200, body: '{"before":"it"}' });
    expect(closed).toBe(true);
  });

  test('a refused request with an endless body is answered, and its connection ends', async () => {
    const { answers, closed } = await exchange(
      server.port,
      lines('POST /set?k=v HTTP/1.1', HOST, 'Transfer-Encoding: chunked') + '5\r\nhello\r\n',
      { endless: `1000\r\n${'x'.repeat(0x1000)}\r\n` },
    );
    expectError(answers[0]!, [405]);
    expect(closed).toBe(true);
  });

  test('a body that never comes is not waited for', async () => {
    const head = lines('POST /set?k=v HTTP/1.1', HOST, 'Content-Length: 1000', 'Expect: 100-continue');
    const { answers } = await first(head);
    expectError(answers[0]!, [405]);
  });

  test('garbage behind a request does not change its answer', async () => {
    const { answers, closed } = await exchange(server.port, `${lines(GET, HOST)}garbage\r\n\r\n`);
    expect(answers[0]).toMatchObject({ status: 200, body: '{"before":"it"}' });
    expect(closed).toBe(true);
  });

  test('garbage behind a write does not change its answer', async () => {
    const { answers, closed } = await exchange(
      server.port,
      `${lines('GET /set?before=again HTTP/1.1', HOST)}garbage\r\n\r\n`,
    );
    expect(answers[0]).toMatchObject({ status: 200, body: '{"before":"again"}' });
    expectError(answers[1]!, [400]);
    expect(closed).toBe(true);
    await ask(server.port, setPath('before', 'it'));
  });

  test('headers that trickle in are 408, and others are unharmed', async () => {
    const slow = exchange(server.port, `${GET}\r\n`, { endless: 'a' });
    const idle = net.connect(server.port, '127.0.0.1');
    const idleEnded = new Promise((resolve) => idle.resume().on('close', resolve).on('error', resolve));
    expect((await ask(server.port, '/get?key=before')).status).toBe(200);
    const { answers, closed } = await slow;
    expectError(answers[0]!, [408]);
    expect(closed).toBe(true);
    idle.destroy();
    await idleEnded;
  });
});
