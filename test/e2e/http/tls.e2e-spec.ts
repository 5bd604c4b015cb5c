import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Authority, certificate, expiredCertificate, newCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { askOverTls } from '../../support/https.js';
import { longTest } from '../../support/long-run.js';
import { tunnelTo } from '../../support/over-tls.js';
import { exchange, lines } from '../../support/raw-http.js';
import { describeWhere, findProgram } from '../../support/requires.js';
import { runToEnd, startServer, type ServerProcess } from '../../support/server.js';
import { startWorkers } from '../../support/workers.js';
import { run } from '../../support/built.js';

const openssl = findProgram('openssl');
const describeTls = describeWhere(openssl !== undefined, 'openssl is not installed');

const settingsOf = ({ cert, key }: { cert: string; key: string }) => ({ TLS_CERT: cert, TLS_KEY: key });

describeTls('a server with a certificate', () => {
  let server: ServerProcess;
  /** Carries plain connections over TLS. */
  let tunnel: number;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ...settingsOf(certificate()) });
    tunnel = await tunnelTo(server.port);
  });
  afterAll(() => server.end());

  const own = () => ({ ca: readFileSync(certificate().cert) });

  test('says https where it says its address', () => {
    expect(server.output().stdout).toContain(`Listening on https://127.0.0.1:${server.port}`);
  });

  test('answers over TLS as it does without', async () => {
    const body = Buffer.alloc(3_000_000, 'any bytes, ');
    const put = await askOverTls(server.port, '/kv/a', own(), { method: 'PUT', body });
    expect(put).toMatchObject({ status: 201, headers: { location: '/kv/a' } });
    expect((await askOverTls(server.port, '/kv/a', own())).bytes.equals(body)).toBe(true);
  });

  test.each([
    ['/set?a=b', 'GET', 'application/json'],
    ['/kv/a', 'DELETE', 'application/problem+json'],
  ])('says to whom speaks plain HTTP that it speaks TLS: %s', async (path, method, type) => {
    const answer = await ask(server.port, path, { method, agent: false });
    expect(answer).toMatchObject({ status: 400, headers: { 'content-type': type, connection: 'close' } });
    expect(JSON.parse(answer.text)).toMatchObject({
      detail: 'This server speaks TLS: the address begins with https://, not with http://.',
    });
  });

  test.each(['\x00\x01', '\x80\x2e\x01', '\x15\x03\x01\x00\x02\x02\x28', ' GET / HTTP/1.1\r\n\r\n'])(
    'ends a connection that begins neither as TLS nor as HTTP: %j',
    async (bytes) => {
      expect(await exchange(server.port, bytes)).toEqual({ answers: [], rest: '', closed: true });
    },
  );

  test('goes on when connections break in the middle of the handshake', async () => {
    for (const bytes of ['', '\x16', '\x16\x03\x01\x02\x00\x01\x00']) {
      const socket = net.connect(server.port, '127.0.0.1');
      await once(socket, 'connect');
      if (bytes !== '') await new Promise<void>((sent) => void socket.write(bytes, 'latin1', () => sent()));
      socket.resetAndDestroy();
      await once(socket, 'close');
    }
    expect((await askOverTls(server.port, '/kv/none', own())).status).toBe(404);
  });

  longTest('ends connections on which the handshake does not come', async () => {
    const ends = ['', '\x16', '\x16\x03\x01\x02\x00\x01\x00'].map((bytes) => exchange(server.port, bytes));
    for (const { closed, answers } of await Promise.all(ends))
      expect({ closed, answers }).toEqual({ closed: true, answers: [] });
  });

  const SOCKET_ARGS = ['s_client', '-connect'];
  /** What openssl says of a connection with these options. */
  const connectWith = async (...options: string[]): Promise<string> => {
    const { status, stdout } = await run([openssl!, ...SOCKET_ARGS, `127.0.0.1:${server.port}`, ...options]);
    return status === 0 ? /^\s*(?:New, )?.*Cipher is (.*)$/m.exec(stdout)![1]! : 'refused';
  };

  test.each([
    ['TLS 1.3', ['-tls1_3'], /^TLS_/],
    [
      'TLS 1.2 with AES 128',
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
      /^ECDHE-ECDSA-AES128-GCM-SHA256$/,
    ],
    [
      'TLS 1.2 with AES 256',
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
      /^ECDHE-ECDSA-AES256-GCM-SHA384$/,
    ],
    [
      'TLS 1.2 with ChaCha20',
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
      /^ECDHE-ECDSA-CHACHA20-POLY1305$/,
    ],
    ['TLS 1.2 with CBC', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256'], /^refused$/],
    ['TLS 1.2 with CBC and SHA-1', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA'], /^refused$/],
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], /^refused$/],
    ['TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], /^refused$/],
  ])('%s: %s is %s', async (_what, options, cipher) => {
    expect(await connectWith(...options)).toMatch(cipher);
  });

  test('keeps the order of what is sent at once, and answers who has ended its side', async () => {
    const requests = [
      lines('PUT /kv/order HTTP/1.1', 'Host: localhost', 'Content-Length: 1') + '1',
      lines('GET /kv/order HTTP/1.1', 'Host: localhost'),
      lines('PUT /kv/order HTTP/1.1', 'Host: localhost', 'Content-Length: 1') + '2',
      lines('GET /kv/order HTTP/1.1', 'Host: localhost'),
    ];
    const { answers } = await exchange(tunnel, requests.join(''), { halfClose: true });
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200]);
    expect([answers[1]!.body, answers[3]!.body]).toEqual(['1', '2']);
  });

  test('lets a client that is refused read why while it still sends', async () => {
    const head = lines('PUT /kv/large HTTP/1.1', 'Host: localhost', `Content-Length: ${2 ** 30}`);
    const { answers, closed } = await exchange(tunnel, head, { endless: Buffer.alloc(65_536) });
    expect({ status: answers[0]!.status, closed }).toEqual({ status: 413, closed: true });
  });

  test.each([
    [431, lines('GET / HTTP/1.1', 'Host: localhost', `X-Long: ${'x'.repeat(70_000)}`)],
    [421, lines('GET / HTTP/1.1', 'Host: evil.example', 'Connection: close')],
    [
      417,
      lines(
        'PUT /kv/x HTTP/1.1',
        'Host: localhost',
        'Expect: more',
        'Content-Length: 1',
        'Connection: close',
      ),
    ],
    [
      403,
      lines('GET /set?a=b HTTP/1.1', 'Host: localhost', 'Origin: https://evil.example', 'Connection: close'),
    ],
    [
      201,
      lines('GET /set?o=b HTTP/1.1', 'Host: localhost', 'Origin: https://localhost', 'Connection: close'),
    ],
    [
      201,
      lines('GET /set?p=b HTTP/1.1', 'Host: localhost', 'Sec-Fetch-Site: same-origin', 'Connection: close'),
    ],
    [404, lines('GET https://localhost/kv/none HTTP/1.1', 'Host: localhost', 'Connection: close')],
    [400, lines('NONSENSE')],
  ])('guards what comes over TLS: %s', async (status, request) => {
    const { answers, closed } = await exchange(tunnel, request);
    expect({ statuses: answers.map((answer) => answer.status), closed }).toEqual({
      statuses: [status],
      closed: true,
    });
  });

  test('stops while a connection is open on which nothing has been said', async () => {
    const silent = net.connect(server.port, '127.0.0.1');
    await once(silent, 'connect');
    const closed = once(silent, 'close');
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
    await closed;
  });
});

describeTls('a server that wants certificates of its clients', () => {
  const [authority, stranger] = [new Authority(), new Authority()];
  const client = authority.issue('somebody');
  const foreign = stranger.issue('somebody');
  let server: ServerProcess;
  beforeAll(async () => {
    const settings = { ...settingsOf(certificate()), TLS_CLIENT_CA: authority.cert };
    server = await startWorkers(2, settings);
  });
  afterAll(() => server.end());

  const statusFor = (who?: { cert: string; key: string }) => {
    const shown = who && { cert: readFileSync(who.cert), key: readFileSync(who.key) };
    const options: ConnectionOptions = { ca: readFileSync(certificate().cert), ...shown };
    return askOverTls(server.port, '/kv/none', options).then(
      ({ status }) => status,
      () => 'refused',
    );
  };

  test.each([1, 2, 3, 4])('lets in those that have one, and nobody else (%i)', async () => {
    expect(await statusFor(client)).toBe(404);
    expect(await statusFor()).toBe('refused');
    expect(await statusFor(foreign)).toBe('refused');
    expect(await statusFor(newCertificate())).toBe('refused');
  });
});

describeTls('a start', () => {
  test('with a key of another certificate ends in one line', async () => {
    const { cert } = certificate();
    const { key } = newCertificate();
    for (const workers of ['1', '2']) {
      const ended = await runToEnd({ PORT: '0', TLS_CERT: cert, TLS_KEY: key, WORKERS: workers });
      expect(ended).toMatchObject({
        code: 1,
        stderr: `pigeonhole: TLS_KEY ${key} is not the key of the certificate in TLS_CERT ${cert}.\n`,
      });
    }
  });

  test('with a certificate that has expired is warned of', async () => {
    const server = await startServer({
      DATABASE_URL: 'memory:',
      ...settingsOf(expiredCertificate()),
    });
    await eventually(() => server.output().stdout.includes('TLS_CERT has expired on'), 'the warning');
    await server.end();
  });
});
