import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { longTest } from '../../support/long-run.js';
import { Proxy, PROXIES, PROXY_HOST } from '../../support/proxy.js';
import { shownFor } from './shown.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';

/* The configurations of docs/proxies.md, run as they stand there in front of a server. */

const KEYS = [
  'plain',
  'a b',
  'a/b',
  'a//b',
  '//',
  '/',
  'a/',
  '/a',
  '.',
  '..',
  'a/../b',
  '../../etc/passwd',
  'a/./b',
  'a+b',
  'a;b=1',
  'a%2Fb',
  '%',
  '%zz',
  'a?b=c',
  'a#b',
  'a&b',
  'č😀',
  'a\\b',
  `'"<>|^\`{}`,
  'a\tb\n',
  ':@!$,=~*()',
  'k'.repeat(1024),
  'č'.repeat(512),
];

/** Paths as they may be typed, and the keys that they mean. */
const TYPED: [path: string, key: string][] = [
  ['/kv/a/b', 'a/b'],
  ['/kv/a//b', 'a//b'],
  ['/kv//', '/'],
  ['/kv/a/', 'a/'],
  ['/kv/a+b', 'a+b'],
  ['/kv/a;b=1', 'a;b=1'],
  ['/kv/a%2fb', 'a/b'],
  ['/kv/%41', 'A'],
  ['/kv/a%20b', 'a b'],
];

const MIB = 1024 * 1024;

/** nginx refuses paths that lead above the root, even if their slashes are escaped. */
const REFUSED_BY_NGINX = '../../etc/passwd';

for (const name of Object.keys(PROXIES)) {
  const program = requireProgram(name);
  program.describe(`behind ${name}`, () => {
    let server: ServerProcess;
    let proxy: Proxy;
    beforeAll(async () => {
      server = await startServer({
        DATABASE_URL: 'memory:',
        ALLOWED_HOSTS: PROXY_HOST,
        TRUSTED_PROXIES: '127.0.0.1',
        LOG_LEVEL: 'debug',
      });
      proxy = await Proxy.start(name, program.path, shownFor(name), server.port);
    });
    afterAll(async () => {
      await proxy.end();
      await server.end();
    });

    const stored = async (key: string) => (await ask(server.port, `/kv?key=${encodeURIComponent(key)}`)).text;

    test.each(KEYS)('the key %j is what it is, in the path and in the query', async (key) => {
      const encoded = encodeURIComponent(key);
      const isRefused = name === 'nginx' && key === REFUSED_BY_NGINX;
      if (isRefused) expect((await proxy.ask(`/kv/${encoded}`)).status).toBe(400);
      const isInQuery = isRefused || key === '.' || key === '..';
      const spellings = isInQuery ? [`/kv?key=${encoded}`] : [`/kv/${encoded}`, `/kv?key=${encoded}`];
      for (const path of spellings) {
        const value = randomBytes(8).toString('hex');
        expect((await proxy.ask(path, { method: 'PUT', body: value })).status).toBeLessThan(300);
        expect(await stored(key)).toBe(value);
        expect((await proxy.ask(path)).text).toBe(value);
      }
      const { status } = await proxy.ask(`/set?${encoded}=${encoded}`);
      expect(status).toBe(200);
      expect(JSON.parse((await proxy.ask(`/get?key=${encoded}`)).text)).toEqual({ [key]: key });
    });

    test.each(TYPED)('%s is the key %s', async (path, key) => {
      const value = randomBytes(8).toString('hex');
      expect((await proxy.ask(path, { method: 'PUT', body: value })).status).toBeLessThan(300);
      expect(await stored(key)).toBe(value);
    });

    test('events come when they happen', async () => {
      const stream = await proxy.watch('/kv/watched');
      for (const value of ['first', 'second']) {
        await ask(server.port, '/kv/watched', { method: 'PUT', body: value });
        await eventually(() => stream.text().includes(`"value":"${value}"`), `the event of ${value}`);
      }
      stream.close();
    });

    test('a long-poll is answered when there is something new', async () => {
      const waiting = proxy.ask('/kv/awaited', { headers: { Prefer: 'wait=60' } });
      await ask(server.port, '/kv/awaited', { method: 'PUT', body: 'here' });
      expect(await waiting).toMatchObject({ status: 200, text: 'here' });
    });

    longTest('a long-poll is held for 60 s', async () => {
      const answer = await proxy.ask('/kv/never', { headers: { Prefer: 'wait=60' } });
      expect(answer).toMatchObject({ status: 404, headers: { 'preference-applied': 'wait=60' } });
    });

    test('16 MiB go up and come down byte for byte', async () => {
      const body = randomBytes(16 * MIB);
      const headers = { 'Content-Type': 'application/octet-stream' };
      expect((await proxy.ask('/kv/large', { method: 'PUT', headers, body })).status).toBe(201);
      expect((await proxy.ask('/kv/large')).bytes.equals(body)).toBe(true);
    });

    test('URLs and headers may be as long as without it', async () => {
      const value = 'v'.repeat(40_000);
      expect((await proxy.ask(`/set?long=${value}`)).status).toBe(201);
      const headers = { 'If-None-Match': `"${'x'.repeat(40_000)}"` };
      expect(await proxy.ask('/kv/long', { headers })).toMatchObject({ status: 200, text: value });
    });

    test('a page of this very name may write, and no other', async () => {
      const write = (origin: string, site: string) =>
        proxy.ask('/kv/page', {
          method: 'PUT',
          headers: { Origin: origin, 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'cors' },
          body: 'x',
        });
      expect((await write(`https://${PROXY_HOST}`, 'same-origin')).status).toBe(201);
      expect((await write('https://other.example.com', 'same-site')).status).toBe(403);
      expect(
        (await proxy.ask('/kv/page', { method: 'DELETE', headers: { Origin: 'https://evil.example' } }))
          .status,
      ).toBe(403);
    });

    test('the address of the client is known, whatever it says itself', async () => {
      const headers = { 'X-Forwarded-For': '198.51.100.1, 127.0.0.1' };
      await proxy.ask('/kv/whose', { headers, localAddress: '127.0.0.2' });
      await eventually(() => /\/kv\/whose[^\n]*127\.0\.0\.2\b/.test(server.output().stdout), 'the line');
    });

    test('tags pass, so that conditions work', async () => {
      await proxy.ask('/kv/tagged', { method: 'PUT', body: 'one' });
      const etag = (await proxy.ask('/kv/tagged', { headers: { 'Accept-Encoding': 'gzip, br' } })).headers
        .etag!;
      expect(await proxy.ask('/kv/tagged', { headers: { 'If-None-Match': etag } })).toMatchObject({
        status: 304,
        headers: { etag },
      });
      const write = () =>
        proxy.ask('/kv/tagged', { method: 'PUT', headers: { 'If-Match': etag }, body: 'two' });
      expect([(await write()).status, (await write()).status]).toEqual([200, 412]);
    });
  });
}
