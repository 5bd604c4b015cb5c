import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { ask, setPath, type Question } from '../../support/http.js';
import type { Target } from '../../support/target.js';
import { describeOn, TARGETS } from '../../support/ways.js';

interface Row {
  readonly input: string;
  readonly path: string;
  readonly question?: Question;
  readonly status: number;
}

const LONG = 'x'.repeat(64 * 1024 + 100);

/** Well-formed HTTP that asks for something it must not get. What is not HTTP at all is in raw-requests. */
const REFUSED: Row[] = [
  ...[
    'gzip',
    'br',
    'zstd',
    'foo',
    'GZIP',
    'gzip, identity',
    'identity, gzip',
    'identity, identity',
    'x-gzip',
  ].flatMap((encoding) => [
    encoded('POST', '/', encoding),
    encoded('GET', '/set?encoded=1', encoding),
    encoded('PUT', '/nothing', encoding),
    encoded('GET', '/openapi.json', encoding),
  ]),
  { input: 'a doubled Content-Encoding', path: '/set?e=1', question: twoEncodings(), status: 415 },
  { input: 'an urlencoded body', path: '/set', question: form('__proto__[x]=1&a[b]=2'), status: 405 },
  { input: 'an urlencoded body beside a query', path: '/set?a=1', question: form('b=2'), status: 405 },
  { input: 'a JSON body', path: '/', question: json('{"__proto__":{"x":1}}'), status: 405 },
  { input: 'a JSON body that is none', path: '/get?key=a', question: json('{'), status: 405 },
  { input: 'a large body', path: '/set?a=1', question: json('x'.repeat(1_000_000)), status: 405 },
  { input: 'a method override', path: '/nothing', question: override('PUT'), status: 404 },
  { input: 'a URL of 64 KiB', path: `/set?k=${LONG}`, status: 431 },
  { input: 'a key of 64 KiB', path: `/get?key=${LONG}`, status: 431 },
  { input: 'a header of 64 KiB', path: '/set?a=1', question: { headers: { 'X-Long': LONG } }, status: 431 },
  { input: '201 headers', path: '/set?a=1', question: { headers: manyHeaders(201) }, status: 431 },
  { input: '3000 headers', path: '/set?a=1', question: { headers: manyHeaders(3000) }, status: 431 },
  { input: 'a path with markup', path: '/<script>alert(1)</script>', status: 404 },
  {
    input: 'an unknown expectation',
    path: '/set?a=1',
    question: { headers: { Expect: 'foo' } },
    status: 417,
  },
];

function encoded(method: string, path: string, encoding: string): Row {
  const question = { method, headers: { 'Content-Encoding': encoding, 'Content-Type': 'text/plain' } };
  return { input: `${method} ${path} with Content-Encoding: ${encoding}`, path, question, status: 415 };
}

function twoEncodings(): Question {
  return { headers: { 'Content-Encoding': ['identity', 'gzip'] } };
}

function form(body: string): Question {
  return { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body };
}

function json(body: string): Question {
  return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
}

function override(method: string): Question {
  return { method: 'POST', headers: { 'X-HTTP-Method-Override': method, 'X-Method-Override': method } };
}

/** This many with Host, and one so short that the size of all of them is no matter. */
function manyHeaders(count: number): Record<string, string> {
  const names = Array.from({ length: count - 2 }, (_, i) => [`h${i}`, '1']);
  return { ...(Object.fromEntries(names) as Record<string, string>), Connection: 'keep-alive' };
}

describeOn(TARGETS)('bad input, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
    await ask(target.port, setPath('before', 'it'));
  });
  afterAll(() => target.close());
  afterEach(async () => {
    expect((await ask(target.port, '/')).text).toBe('{"before":"it"}');
  });

  test.each(REFUSED)('$input is $status', async ({ path, question, status }) => {
    const answer = await ask(target.port, path, { agent: false, ...question });
    expect(answer.status).toBe(status);
    expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(['title', 'detail']);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.text).not.toContain('<script>');
    if (status === 415) expect(answer.headers['accept-encoding']).toBe('identity');
  });

  test('200 headers are not too many', async () => {
    const answer = await ask(target.port, '/get?key=before', { headers: manyHeaders(200) });
    expect(answer.status).toBe(200);
  });

  test('a URL just below the limit is taken', async () => {
    const answer = await ask(target.port, `/get?key=before&${'x'.repeat(60 * 1024)}`);
    expect(answer.status).toBe(400);
  });

  test('Content-Encoding: identity is no encoding', async () => {
    const answer = await ask(target.port, '/get?key=before', { headers: { 'Content-Encoding': 'Identity' } });
    expect(answer.status).toBe(200);
  });

  test('a method override is ignored where the path is known', async () => {
    const answer = await ask(target.port, '/get?key=before', {
      headers: { 'X-HTTP-Method-Override': 'DELETE', 'X-Method-Override': 'DELETE' },
    });
    expect(answer).toMatchObject({ status: 200, text: '{"before":"it"}' });
  });

  test('a body on GET is not read, and does not become the next request', async () => {
    const body = 'GET /set?smuggled=1 HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const answer = await ask(target.port, '/get?key=before', {
      body,
      headers: { 'Content-Length': body.length },
    });
    expect(answer).toMatchObject({ status: 200, text: '{"before":"it"}' });
    expect(answer.headers.connection).toBe('close');
  });

  test('nothing of a forwarding proxy is believed', async () => {
    const forwarded = {
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-For': '1.2.3.4',
      Forwarded: 'host=evil.example',
    };
    const good = await ask(target.port, '/get?key=before', { headers: forwarded });
    expect(good.status).toBe(200);
    const misdirected = await ask(target.port, '/get?key=before', {
      headers: { ...forwarded, Host: 'evil.example', 'X-Forwarded-Host': 'localhost' },
    });
    expect(misdirected.status).toBe(421);
  });
});
