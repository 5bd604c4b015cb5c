import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { ask, setPath, type Question } from '../../support/http.js';
import { exchange, lines } from '../../support/raw-http.js';
import { startInProcess, type Target } from '../../support/target.js';

const API_POLICY = "default-src 'none'; frame-ancestors 'none'";

let target: Target;
beforeAll(async () => {
  target = await startInProcess({ ALLOWED_HOSTS: 'db.example, Other.Example., pigeon_hole' });
  await ask(target.port, setPath('before', 'it'));
});
afterAll(() => target.close());

/** Whether the request of these headers stores the pair. */
async function stores(headers: OutgoingHttpHeaders): Promise<boolean> {
  const before = (await ask(target.port, '/')).text;
  const key = `k${Math.random()}`;
  const answer = await ask(target.port, setPath(key, 'v'), { headers });
  if (answer.status !== 201) expect((await ask(target.port, '/')).text).toBe(before);
  expect([201, 403]).toContain(answer.status);
  return answer.status === 201;
}

describe('the Host of a request', () => {
  const OURS = ['127.0.0.1', '127.0.0.1:4000', '127.8.9.1', '10.0.0.7:80', '0.0.0.0', '[::1]', '[::1]:4000'];
  OURS.push('[2001:DB8::1]:80', '[::ffff:127.0.0.1]', 'localhost', 'localhost:1', 'LocalHost:65535');
  OURS.push('localhost.', 'LOCALHOST.:80', 'db.example', 'DB.EXAMPLE.:8080', 'other.example');
  OURS.push('pigeon_hole:4000', 'x.localhost', 'My-App.x.LocalHost:4000', 'x.localhost.');

  test.each(OURS)('%s is answered', async (host) => {
    const answer = await ask(target.port, '/get?key=before', { headers: { Host: host } });
    expect(answer).toMatchObject({ status: 200, text: '{"before":"it"}' });
  });

  const FOREIGN = ['evil.example', 'evil.example:4000', '127.0.0.1.nip.io', '127.0.0.1.nip.io:4000'];
  FOREIGN.push(
    'localhost.evil.com',
    'localhost@evil',
    'evil@localhost',
    'localhost:80@evil',
    'a..localhost',
    'evil.example#.localhost',
  );
  FOREIGN.push('localhost..', '.localhost', 'xlocalhost', 'localhost/evil', 'localhost#', 'localhost?', '*');
  FOREIGN.push('localhost\\evil', 'localhost, evil', 'localhost evil', 'localhost:80:80', 'localhost:x', '.');
  FOREIGN.push('[localhost]', '[::1', '::1', '[::1]evil', '[evil]', '2130706433', '0x7f000001', '127.1');
  FOREIGN.push('sub.db.example', 'db.example.evil', 'localhost:999999', 'null', 'undefined');

  test.each(FOREIGN)('"%s" is 421', async (host) => {
    const before = (await ask(target.port, '/')).text;
    const answer = await ask(target.port, '/set?evil=1', { headers: { Host: host } });
    expect(answer.status).toBe(421);
    expect(answer.text).toContain('ALLOWED_HOSTS');
    expect((JSON.parse(answer.text) as { detail: string }).detail).toContain(JSON.stringify(host));
    expect((await ask(target.port, '/')).text).toBe(before);
  });

  test.each([
    ['GET', '/'],
    ['GET', '/get?key=before'],
    ['HEAD', '/'],
    ['OPTIONS', '/set'],
    ['POST', '/set'],
    ['GET', '/nothing'],
    ['GET', '/docs'],
    ['GET', '/openapi.json'],
  ])('is checked before anything else: %s %s', async (method, path) => {
    const answer = await ask(target.port, path, { method, headers: { Host: 'evil.example' } });
    expect(answer.status).toBe(421);
    expect(answer.text).not.toContain('before');
  });

  test('that is refused is named, escaped and no longer than a line', async () => {
    const detailOf = async (Host: string) => {
      const answer = await ask(target.port, '/kv/a', { headers: { Host }, agent: false });
      expect(answer.status).toBe(421);
      return (JSON.parse(answer.text) as { detail: string }).detail;
    };
    expect(await detailOf('evil"</script>\\')).toContain('"evil\\"</script>\\\\"');
    expect((await detailOf('x'.repeat(5000))).length).toBeLessThan(400);
    const { answers } = await exchange(target.port, lines('GET /kv/a HTTP/1.1', 'Connection: close'));
    expect(answers[0]).toMatchObject({
      status: 400,
      body: expect.stringContaining('must have a Host header'),
    });
  });

  test('below localhost is refused where others reach the server', async () => {
    const open = await startInProcess({ HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' });
    const statusOf = async (Host: string) => (await ask(open.port, '/', { headers: { Host } })).status;
    expect([await statusOf('x.localhost'), await statusOf('localhost')]).toEqual([421, 200]);
    await open.close();
  });

  test('may be the HOST setting', async () => {
    const named = await startInProcess({ HOST: 'db.internal', ALLOW_ANONYMOUS: 'true' });
    const statusOf = async (Host: string) => (await ask(named.port, '/', { headers: { Host } })).status;
    expect(await statusOf('db.internal:4000')).toBe(200);
    expect(await statusOf('DB.Internal.')).toBe(200);
    expect(await statusOf('db.example')).toBe(421);
    await named.close();
  });
});

describe('a write that another site may have set off', () => {
  const own = () => `127.0.0.1:${target.port}`;

  test.each<[string, () => OutgoingHttpHeaders]>([
    ['curl', () => ({})],
    ['the address bar', () => navigation('none')],
    ['a bookmark', () => ({ 'Sec-Fetch-Site': 'none' })],
    ['a page of our own', () => ({ 'Sec-Fetch-Site': 'same-origin', Referer: `http://${own()}/docs?a=b` })],
    ['our own Origin', () => ({ Origin: `http://${own()}` })],
    ['our own Origin behind TLS', () => ({ Origin: `https://${own()}` })],
    ['our own Origin in upper case', () => ({ Host: 'LOCALHOST:1', Origin: 'HTTP://localhost:1' })],
    ['our own Referer without a path', () => ({ Referer: `http://${own()}` })],
    ['another purpose', () => ({ Purpose: 'navigation' })],
  ])('is stored when it is not: %s', async (_name, headers) => {
    expect(await stores(headers())).toBe(true);
  });

  test.each<[string, () => OutgoingHttpHeaders]>([
    ['a cross-site image', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'image' })],
    ['a page of another port', () => ({ 'Sec-Fetch-Site': 'same-site' })],
    ['a cross-site link', () => navigation('cross-site')],
    ['a cross-site frame', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'iframe' })],
    ['a cross-site script', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'script' })],
    ['a cross-site fetch', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' })],
    ['a site of its own word', () => ({ 'Sec-Fetch-Site': 'elsewhere' })],
    ['an empty site', () => ({ 'Sec-Fetch-Site': '' })],
    ['two sites', () => ({ 'Sec-Fetch-Site': ['same-origin', 'cross-site'] })],
    ['cross-site with our Origin', () => ({ 'Sec-Fetch-Site': 'cross-site', Origin: `http://${own()}` })],
    ['a prefetch', () => ({ ...navigation('none'), 'Sec-Purpose': 'prefetch' })],
    ['a prerender', () => ({ ...navigation('none'), 'Sec-Purpose': 'prefetch;prerender' })],
    ['a prefetch of our own', () => ({ 'Sec-Fetch-Site': 'same-origin', 'Sec-Purpose': 'Prefetch' })],
    ['an old prefetch', () => ({ 'Sec-Fetch-Site': 'none', Purpose: 'prefetch' })],
    ['both purposes', () => ({ 'Sec-Purpose': 'other', Purpose: 'prefetch' })],
    ['a foreign Origin', () => ({ Origin: 'https://evil.example' })],
    ['an opaque Origin', () => ({ Origin: 'null' })],
    ['an empty Origin', () => ({ Origin: '' })],
    ['an Origin of another port', () => ({ Origin: 'http://127.0.0.1:5173' })],
    ['an Origin without our port', () => ({ Origin: 'http://127.0.0.1' })],
    ['an Origin by another name of ours', () => ({ Origin: `http://localhost:${target.port}` })],
    ['an Origin that begins like ours', () => ({ Origin: `http://${own()}.evil.example` })],
    ['an Origin with us as its user', () => ({ Origin: `http://${own()}@evil.example` })],
    ['an Origin of another kind', () => ({ Origin: 'chrome-extension://abcdef' })],
    ['a foreign Referer', () => ({ Referer: `http://evil.example/http://${own()}/` })],
    [
      'a foreign Referer with our Origin',
      () => ({ Origin: `http://${own()}`, Referer: 'http://evil.example/' }),
    ],
    ['two Origins', () => ({ Origin: [`http://${own()}`, 'http://evil.example'] })],
  ])('is 403, and nothing is written: %s', async (_name, headers) => {
    expect(await stores(headers())).toBe(false);
  });

  test('is told how to do it on purpose, and is not stored anywhere', async () => {
    const answer = await ask(target.port, '/set?a=1', { headers: navigation('cross-site') });
    expect(answer.text).toContain('address bar');
    expect(answer.text).toContain('CORS_ORIGINS');
    const page = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://app.example' };
    expect((await ask(target.port, '/set?a=1', { headers: page })).text).toContain('https://app.example');
    const proxied = { Origin: 'https://db.example/"', Host: `127.0.0.1:${target.port}` };
    const { detail } = JSON.parse((await ask(target.port, '/set?a=1', { headers: proxied })).text) as {
      detail: string;
    };
    expect(detail).toContain('"https://db.example/\\""');
    expect(detail).toContain('A proxy has to pass Host on');
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'])('is 403 with %s on any path', async (method) => {
    for (const path of ['/', '/get', '/set?a=1', '/nothing']) {
      const headers = { 'Sec-Fetch-Site': 'cross-site' };
      expect((await ask(target.port, path, { method, headers })).status).toBe(403);
    }
  });

  test('is no matter for reading, whose answers browsers keep from other sites', async () => {
    for (const headers of [
      { Origin: 'https://evil.example' },
      navigation('cross-site'),
      { Purpose: 'prefetch' },
    ]) {
      const answer = await ask(target.port, '/get?key=before', { headers });
      expect(answer).toMatchObject({ status: 200, text: '{"before":"it"}' });
      expect(corsOf(answer.headers)).toEqual([]);
    }
  });

  test.each(['https://evil.example', 'null'])('is not let in by a preflight from %s', async (origin) => {
    const headers = {
      Origin: origin,
      'Access-Control-Request-Method': 'PUT',
      'Access-Control-Request-Private-Network': 'true',
    };
    for (const path of ['/set?a=1', '/', '/get?key=before', '/nothing']) {
      expect(corsOf((await ask(target.port, path, { method: 'OPTIONS', headers })).headers)).toEqual([]);
    }
  });

  function navigation(site: string): OutgoingHttpHeaders {
    return { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
  }

  function corsOf(headers: object): string[] {
    return Object.keys(headers).filter((name) => name.startsWith('access-control-'));
  }
});

describe('the headers of every answer', () => {
  const EVERY: [string, string, Question, number][] = [
    ['all entries', '/', {}, 200],
    ['an entry', '/get?key=before', {}, 200],
    ['an update', '/set?before=it', {}, 200],
    ['headers only', '/', { method: 'HEAD' }, 200],
    ['methods', '/', { method: 'OPTIONS' }, 204],
    ['a bad query', '/set?a', {}, 400],
    ['an absent key', '/get?key=absent', {}, 400],
    ['no such path', '/nothing', {}, 404],
    ['another method', '/set', { method: 'POST' }, 405],
    ['another site', '/set?a=1', { headers: { 'Sec-Fetch-Site': 'cross-site' } }, 403],
    ['an encoding', '/', { headers: { 'Content-Encoding': 'gzip' } }, 415],
    ['another expectation', '/', { headers: { Expect: 'foo' }, agent: false }, 417],
    ['another host', '/', { headers: { Host: 'evil.example' } }, 421],
    ['the document', '/openapi.json', {}, 200],
    ['the explorer', '/docs', {}, 200],
    ['its script', '/docs/swagger-ui-bundle.js', {}, 200],
    ['the icon', '/favicon.ico', {}, 200],
    ['a redirect', '/docs/', {}, 308],
    ['its style', '/docs/swagger-ui.css', { method: 'HEAD' }, 200],
  ];

  test.each(EVERY)('guard %s', async (_name, path, question, status) => {
    const answer = await ask(target.port, path, question);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'cache-control': expect.any(String),
    });
    for (const name of ['x-powered-by', 'server', 'etag', 'set-cookie'])
      expect(answer.headers).not.toHaveProperty(name);
    const isPage = path === '/docs';
    if (!isPage) expect(answer.headers['content-security-policy']).toBe(API_POLICY);
    if (status >= 400) expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('guard what is no request', async () => {
    const { answers } = await exchange(target.port, lines('nonsense'));
    expect(answers[0]).toMatchObject({
      status: 400,
      headers: {
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'content-security-policy': API_POLICY,
        'cache-control': 'no-store',
        connection: 'close',
      },
    });
  });

  test.each(['/', '/get?key=before', '/set?before=it'])(
    '%s may be kept but is asked about again',
    async (path) => {
      expect((await ask(target.port, path)).headers['cache-control']).toBe('no-cache');
    },
  );

  test.each(['GET', 'HEAD'])('%s / varies with what is accepted', async (method) => {
    expect((await ask(target.port, '/', { method })).headers.vary).toBe('Accept');
  });
});
