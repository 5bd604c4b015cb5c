import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { ask, type Answer, type Question } from '../../support/http.js';
import { expectProblem, JSON_TYPE, NDJSON, stored } from '../../support/kv.js';
import { startInProcess, type Target } from '../../support/target.js';

const ALLOWED = 'https://app.example';
const OTHERS = [
  'https://evil.example',
  'null',
  'http://app.example',
  'https://app.example:444',
  `${ALLOWED}.evil`,
];
const EXPOSED =
  'ETag, Last-Modified, Location, Link, Retry-After, Allow, Content-Range, KV-Expires, KV-Count, KV-Revision, ' +
  'Preference-Applied, RateLimit, RateLimit-Policy, Idempotency-Replayed, Idempotency-Expires';

/** Every request that writes. */
const WRITES: [string, Question][] = [
  ['/kv/a', { method: 'PUT', body: 'x' }],
  ['/kv?key=a', { method: 'PUT', body: 'x' }],
  ['/kv/n?incr=1', { method: 'PATCH' }],
  ['/kv/a?ttl=1', { method: 'PATCH' }],
  ['/kv/a', { method: 'DELETE' }],
  ['/kv?confirm=all', { method: 'DELETE' }],
  ['/kv', { method: 'POST', body: '{"key":"x","value":"x"}\n', headers: NDJSON }],
  ['/batch', { method: 'POST', body: '{"ops":[{"op":"delete","key":"a"}]}', headers: JSON_TYPE }],
];

const FOREIGN: OutgoingHttpHeaders[] = [
  { 'Sec-Fetch-Site': 'cross-site' },
  { 'Sec-Fetch-Site': 'same-site' },
  { 'Sec-Fetch-Site': 'none', 'Sec-Purpose': 'prefetch' },
  { Origin: 'https://evil.example' },
  { Origin: 'null' },
  { Referer: 'http://evil.example/x' },
];

function accessHeaders({ headers }: Answer): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'));
}

function variesBy({ headers }: Answer): string[] {
  return String(headers.vary ?? '').split(/, */);
}

describe.each([
  { name: 'without CORS', settings: {} },
  { name: 'with CORS', settings: { CORS_ORIGINS: `${ALLOWED}, http://localhost:5173` } },
])('another site, $name', ({ settings }) => {
  let target: Target;
  const withCors = Object.keys(settings).length > 0;
  beforeAll(async () => {
    target = await startInProcess(settings as Record<string, string>);
    await stored(target.port, 'a', 'v');
    await stored(target.port, 'n', '1');
  });
  afterAll(() => target.close());

  const everything = async () => (await ask(target.port, '/')).text;

  test.each(WRITES)('cannot write: %s %j', async (path, question) => {
    for (const foreign of FOREIGN) {
      const answer = await ask(target.port, path, {
        ...question,
        headers: { ...question.headers, ...foreign },
        agent: false,
      });
      expectProblem(answer, 403, 'cross-site');
      expect(accessHeaders(answer)).toEqual([]);
    }
    expect(await everything()).toBe('{"a":"v","n":"1"}');
  });

  test('cannot make a service worker of a value', async () => {
    for (const path of ['/kv/a', '/kv?key=a', '/kv']) {
      const answer = await ask(target.port, path, { headers: { 'Service-Worker': 'script' } });
      expectProblem(answer, 403, 'service-worker');
    }
  });

  test.each(OTHERS)('is told nothing it may read: %s', async (origin) => {
    for (const path of ['/kv/a', '/kv', '/', '/kv/absent']) {
      const read = await ask(target.port, path, { headers: { Origin: origin } });
      expect([200, 404]).toContain(read.status);
      expect(accessHeaders(read)).toEqual([]);
      // What is kept for one origin must not be taken for the answer to another.
      expect(variesBy(read).includes('Origin')).toBe(withCors);
      const headers = { Origin: origin, 'Access-Control-Request-Method': 'PUT' };
      const preflight = await ask(target.port, path, { method: 'OPTIONS', headers });
      expect(preflight.status).toBe(204);
      expect(accessHeaders(preflight)).toEqual([]);
      expect(variesBy(preflight).includes('Origin')).toBe(withCors);
    }
    const options = await ask(target.port, '/set?k=v', { method: 'OPTIONS', headers: { Origin: origin } });
    expect(options.status).toBe(204);
  });

  test('answers without an Origin vary by it where origins are let in', async () => {
    const read = await ask(target.port, '/kv/a');
    expect(variesBy(read)).toEqual(withCors ? ['Accept', 'Origin'] : ['Accept']);
    expect(accessHeaders(read)).toEqual([]);
  });
});

describe('an origin of CORS_ORIGINS', () => {
  let target: Target;
  const site = { Origin: ALLOWED, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors' };
  beforeAll(async () => {
    target = await startInProcess({ CORS_ORIGINS: ALLOWED });
    await stored(target.port, 'a', 'v');
  });
  afterAll(() => target.close());

  test.each(['/kv/a', '/kv', '/batch', '/', '/get?key=a', '/kv/absent'])(
    'has its preflight granted: %s',
    async (path) => {
      const headers = {
        ...site,
        'Access-Control-Request-Method': 'PUT',
        'Access-Control-Request-Headers': 'content-type,if-match',
      };
      const answer = await ask(target.port, path, { method: 'OPTIONS', headers });
      expect(answer).toMatchObject({ status: 204, text: '' });
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': ALLOWED,
        'access-control-allow-methods': 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS',
        'access-control-allow-headers': 'content-type, if-match',
        'access-control-max-age': expect.stringMatching(/^\d+$/),
      });
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
      expect(variesBy(answer)).toContain('Origin');
    },
  );

  test.each<[string | undefined, string | undefined]>([
    ['cache-control,last-event-id', 'cache-control, last-event-id'],
    ['traceparent , tracestate,x-b3', 'traceparent, tracestate, x-b3'],
    ['authorization', 'authorization'],
    ['x, a b, y:z, é, "q", ,w', 'x, w'],
    [undefined, undefined],
    ['', undefined],
    [Array.from({ length: 5000 }, () => 'x').join(','), Array.from({ length: 100 }, () => 'x').join(', ')],
  ])('may send whatever headers it asks for: %.40s', async (asked, allowed) => {
    const headers = { ...site, 'Access-Control-Request-Method': 'GET' };
    const more = asked === undefined ? {} : { 'Access-Control-Request-Headers': asked };
    const answer = await ask(target.port, '/kv/a', { method: 'OPTIONS', headers: { ...headers, ...more } });
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-headers']).toBe(allowed);
  });

  test('is one however CORS_ORIGINS writes it', async () => {
    const other = await startInProcess({ CORS_ORIGINS: 'HTTPS://App.Example:443' });
    const answer = await ask(other.port, '/kv/a', { method: 'PUT', body: 'x', headers: site });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([201, ALLOWED]);
    await other.close();
  });

  test('reads and writes, and may see the headers that matter', async () => {
    const requests: [string, Question, number][] = [
      ['/kv/new', { method: 'PUT', body: 'v' }, 201],
      ['/kv/new', {}, 200],
      ['/kv/new', { headers: { 'If-None-Match': '*' } }, 304],
      ['/kv/n?incr=1', { method: 'PATCH' }, 201],
      ['/kv', {}, 200],
      ['/kv', { headers: { Accept: 'application/x-ndjson' } }, 200],
      ['/kv', { method: 'HEAD' }, 200],
      ['/batch', { method: 'POST', body: '{"ops":[{"op":"get","key":"a"}]}', headers: JSON_TYPE }, 200],
      ['/kv/new', { method: 'DELETE' }, 204],
      ['/kv/absent', {}, 404],
      ['/kv/a?x=1', {}, 400],
      ['/nothing', {}, 404],
      ['/', {}, 200],
      ['/set?b=1', {}, 201],
    ];
    for (const [path, question, status] of requests) {
      const answer = await ask(target.port, path, { ...question, headers: { ...question.headers, ...site } });
      expect({ path, status: answer.status }).toEqual({ path, status });
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': ALLOWED,
        'access-control-expose-headers': EXPOSED,
      });
      expect(variesBy(answer)).toContain('Origin');
    }
  });

  test('is no reason to leave out the other guards', async () => {
    const host = await ask(target.port, '/kv/a', { headers: { ...site, Host: 'evil.example' } });
    expectProblem(host, 421, 'misdirected-host');
    const worker = await ask(target.port, '/kv/a', { headers: { ...site, 'Service-Worker': 'script' } });
    expectProblem(worker, 403, 'service-worker');
  });
});
