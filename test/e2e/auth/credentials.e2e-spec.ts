import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, type Question } from '../../support/http.js';
import { startInProcess, type Target } from '../../support/target.js';
import { ADMIN, basic, bearer, issue } from '../../support/tokens.js';

const BEARER = 'Bearer realm="pigeonhole"';
const BASIC = 'Basic realm="pigeonhole", charset="UTF-8"';
const ERROR = ', error="invalid_token"';
/** A server that refuses after so many wrong tokens of one address. */
const MOST_FAILURES = 20;

describe('credentials', () => {
  let target: Target;
  let port: number;
  beforeAll(async () => {
    target = await startInProcess({ ADMIN_TOKEN: ADMIN });
    ({ port } = target);
  });
  afterAll(() => target.close());

  test.each([
    '/',
    '/get?key=a',
    '/set?a=1',
    '/kv',
    '/kv/a',
    '/kv?key=a',
    '/batch',
    '/tokens',
    '/tokens/self',
    '/nowhere',
    '/kv?watch=true',
  ])('without a token %s is 401, with Bearer, and Basic for who may be asked', async (path) => {
    const answer = await ask(port, path);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(`${BEARER}, ${BASIC}`);
    const navigation = await ask(port, path, { headers: { 'Sec-Fetch-Mode': 'navigate' } });
    expect(navigation.headers['www-authenticate']).toBe(`${BEARER}, ${BASIC}`);
    const page = await ask(port, path, { headers: { 'Sec-Fetch-Mode': 'cors' } });
    expect(page.headers['www-authenticate']).toBe(BEARER);
  });

  test.each([
    '/docs',
    '/openapi.json',
    '/problems',
    '/problems/forbidden',
    '/favicon.ico',
    '/health/live',
    '/health/ready',
  ])('%s has nothing of the database, and needs none', async (path) =>
    expect((await ask(port, path)).status).toBeLessThan(300),
  );

  test('OPTIONS needs none: browsers ask before they send one', async () => {
    expect((await ask(port, '/kv/a', { method: 'OPTIONS' })).status).toBe(204);
  });

  test.each([
    ['Bearer', bearer(ADMIN)],
    ['bearer in any case', { Authorization: `bEaReR  ${ADMIN}` }],
    ['Basic', basic(ADMIN)],
    ['Basic with a user name', basic(ADMIN, 'ada')],
  ])('%s is taken', async (_, headers) => {
    expect((await ask(port, '/', { headers })).status).toBe(200);
  });

  test.each(['/?token=', '/?access_token=', '/kv?token='])('a token in the URL is none: %s', async (path) => {
    expect((await ask(port, path + ADMIN)).status).toBe(401);
  });

  test('credentials before the host of an absolute target are none', async () => {
    expect([400, 401, 421]).toContain((await ask(port, `http://:${ADMIN}@127.0.0.1:${port}/`)).status);
  });
});

describe('wrong credentials', () => {
  let target: Target;
  let right: string;
  /** Each test has an address of its own, or their failures would add up. */
  const fresh = async (): Promise<number> => {
    await target?.close();
    target = await startInProcess({ ADMIN_TOKEN: ADMIN });
    right = (await issue(target.port, { can: ['read'] })).token;
    return target.port;
  };
  afterAll(() => target.close());

  const wrongCheck = () => right.slice(0, -1) + (right.endsWith('a') ? 'b' : 'a');
  const CASES: [string, () => Question['headers']][] = [
    ['two headers', () => ({ Authorization: [`Bearer ${ADMIN}`, `Bearer ${ADMIN}`] })],
    ['an empty header', () => ({ Authorization: '' })],
    ['only the scheme', () => ({ Authorization: 'Bearer' })],
    ['an empty token', () => ({ Authorization: 'Bearer ' })],
    ['Basic alone', () => ({ Authorization: 'Basic' })],
    ['Basic that is not base64', () => ({ Authorization: 'Basic %%%' })],
    ['Basic without a colon', () => ({ Authorization: `Basic ${Buffer.from(ADMIN).toString('base64')}` })],
    ['Basic with an empty password', () => basic('')],
    ['another scheme', () => ({ Authorization: `Digest ${ADMIN}` })],
    ['a token of another length', () => bearer(`${right}x`)],
    ['half a token', () => bearer(right.slice(0, 20))],
    ['a wrong check', () => bearer(wrongCheck())],
    ['a token of another server', () => bearer('pgh_000000000000_0000000000000000000000' + '2Wz3uW')],
    ['a part of ADMIN_TOKEN', () => bearer(ADMIN.slice(0, -1))],
    ['60 KB', () => bearer('x'.repeat(60_000))],
  ];

  test('each is 401, and is told why', async () => {
    const port = await fresh();
    for (const [name, headers] of CASES) {
      const answer = await ask(port, '/get?key=a', { headers: headers()! });
      expect({ name, status: answer.status }).toEqual({ name, status: 401 });
      expect(answer.headers['www-authenticate']).toBe(`${BEARER}${ERROR}, ${BASIC}`);
      expect(answer.text).not.toContain(ADMIN);
    }
  });

  test('1 MB of them is too large for headers', async () => {
    const port = await fresh();
    const answer = await ask(port, '/', { headers: bearer('x'.repeat(2 ** 20)), agent: false }).catch(
      () => undefined,
    );
    if (answer) expect(answer.status).toBe(431);
    expect((await ask(port, '/', { headers: bearer(right) })).status).toBe(200);
  });

  test(`after ${MOST_FAILURES} in a minute an address is refused, and who has a token is not`, async () => {
    const port = await fresh();
    const statuses = new Set<number>();
    for (let i = 0; i < MOST_FAILURES; i++)
      statuses.add((await ask(port, '/', { headers: bearer(`wrong-${i}`) })).status);
    expect([...statuses]).toEqual([401]);
    const answer = await ask(port, '/kv', { headers: bearer('wrong-once-more') });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.headers['ratelimit-policy']).toBe(`"failed-tokens";q=${MOST_FAILURES};w=60`);
    expect((await ask(port, '/', { headers: bearer(wrongCheck()) })).status).toBe(429);
    expect((await ask(port, '/', { headers: bearer(right) })).status).toBe(200);
    // A token of a form of its own may be guessed.
    expect((await ask(port, '/', { headers: bearer(ADMIN) })).status).toBe(429);
  });
});

describe('limits of a token', () => {
  let target: Target;
  beforeAll(async () => {
    target = await startInProcess({ ADMIN_TOKEN: ADMIN });
  });
  afterAll(() => target.close());

  test('what the tokens do that it made counts for it, too', async () => {
    const { port } = target;
    const parent = await issue(port, { can: ['read', 'write', 'admin'], limits: { writes: 2 } });
    const child = await issue(port, { can: ['read', 'write'] }, parent.token);
    expect((await ask(port, '/set?a=1', { headers: bearer(child.token) })).status).toBe(201);
    expect((await ask(port, '/set?a=2', { headers: bearer(child.token) })).status).toBe(429);
    expect((await ask(port, '/set?a=2', { headers: bearer(parent.token) })).status).toBe(429);
    expect((await ask(port, '/get?key=a', { headers: bearer(child.token) })).text).toBe('{"a":"1"}');
  });

  test('writes and requests are counted apart, and answers say what is left', async () => {
    const { port } = target;
    const { token } = await issue(port, { can: ['read', 'write'], limits: { requests: 4, writes: 2 } });
    const headers = bearer(token);
    const written = await ask(port, '/set?b=1', { headers });
    expect(written.headers['ratelimit']).toMatch(/^"requests";r=3;t=\d+, "writes";r=1;t=\d+$/);
    expect((await ask(port, '/set?b=2', { headers })).status).toBe(200);
    const refused = await ask(port, '/kv/b', { method: 'PUT', body: '3', headers });
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'too-many-requests', limit: 2 });
    expect((await ask(port, '/get?key=b', { headers })).text).toBe('{"b":"2"}');
    expect((await ask(port, '/get?key=b', { headers })).status).toBe(429);
  });

  test('a number of watches at a time', async () => {
    const { port } = target;
    const { token } = await issue(port, { can: ['read'], limits: { watchers: 0 } });
    const answer = await ask(port, '/kv?watch=true', { headers: bearer(token) });
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('which allows 0');
  });
});
