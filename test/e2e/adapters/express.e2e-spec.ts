import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import express, { type Express } from 'express';
import { rateLimit } from 'express-rate-limit';
import session, { Cookie, type SessionData } from 'express-session';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import RateLimitStore from '../../../src/adapters/express-rate-limit.js';
import SessionStore from '../../../src/adapters/express-session.js';
import { Pigeonhole } from '../../../src/client/pigeonhole.js';
import { ask } from '../../support/http.js';
import { startInProcess, type Target } from '../../support/target.js';

declare module 'express-session' {
  interface SessionData {
    visits: number;
  }
}

let target: Target;
let db: Pigeonhole;
let servers: Server[];

beforeAll(async () => {
  target = await startInProcess();
  db = new Pigeonhole(`http://127.0.0.1:${target.port}`);
});
beforeEach(async () => {
  servers = [];
  await db.delRange({ all: true });
});
afterEach(() => servers.forEach((server) => server.close()));
afterAll(() => target.close());

async function serve(app: Express): Promise<number> {
  const server = createServer(app).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('the session store for Express', () => {
  let store: SessionStore;

  beforeEach(() => {
    store = new SessionStore(db);
  });

  function sessionOf(visits: number, maxAge?: number): SessionData {
    const cookie = new Cookie();
    if (maxAge !== undefined) cookie.maxAge = maxAge;
    return { cookie, visits };
  }

  async function secondsLeft(id: string): Promise<number> {
    const { expires } = (await db.info(`session/${id}`))!;
    return Math.round((Date.parse(expires!) - Date.now()) / 1000);
  }

  const set = (id: string, data: SessionData) =>
    new Promise<void>((resolve, reject) =>
      store.set(id, data, (error) => (error ? reject(error) : resolve())),
    );
  const get = (id: string) => promisify(store.get.bind(store))(id);

  test('lets a visitor go on at another server of the application', async () => {
    const port = () => {
      const app = express();
      app.use(session({ store: new SessionStore(db), secret: 's', resave: false, saveUninitialized: false }));
      app.get('/', (request, response) => {
        request.session.visits = (request.session.visits ?? 0) + 1;
        response.send(String(request.session.visits));
      });
      app.get('/out', (request, response) => {
        request.session.destroy(() => response.send('out'));
      });
      return serve(app);
    };
    const [one, other] = [await port(), await port()];
    const first = await ask(one, '/');
    const headers = { Cookie: first.headers['set-cookie']![0]!.split(';')[0]! };
    expect([first.text, (await ask(other, '/', { headers })).text]).toEqual(['1', '2']);
    await ask(one, '/out', { headers });
    expect(await db.count({ prefix: 'session/' })).toBe(0);
    expect((await ask(other, '/', { headers })).text).toBe('1');
  });

  test('ends a session with its cookie, and one without an end of its own after a day', async () => {
    await set('short', sessionOf(1, 100_000));
    await set('browser', sessionOf(1));
    expect(Math.ceil((await secondsLeft('short')) / 10)).toBe(10);
    expect(Math.ceil((await secondsLeft('browser')) / 3600)).toBe(24);
    await set('short', sessionOf(2, -1));
    expect(await get('short')).toBeNull();
  });

  test('ends a session after a part of a second, if the application says so', async () => {
    store = new SessionStore(db, { ttl: 100.0004 });
    await set('a', sessionOf(1));
    const { created, expires } = (await db.info('session/a'))!;
    expect(Date.parse(expires!) - Date.parse(created)).toBe(100_001);
  });

  test('moves the end of a session that is touched, and makes none anew', async () => {
    await set('a', sessionOf(1, 100_000));
    const touch = (id: string) =>
      new Promise<void>((resolve, reject) =>
        store.touch(id, sessionOf(9, 5_000_000), (error) => (error ? reject(error) : resolve())),
      );
    await touch('a');
    await touch('gone');
    expect(await secondsLeft('a')).toBeGreaterThan(1000);
    expect((await get('a'))!.visits).toBe(1);
    expect(await get('gone')).toBeNull();
  });

  test('lists, counts and clears its sessions alone', async () => {
    await db.put('other', 'x');
    await set('a', sessionOf(1));
    await set('b', sessionOf(2));
    const all = (await promisify(store.all.bind(store))()) as Record<string, SessionData>;
    expect(Object.entries(all).map(([id, { visits }]) => [id, visits])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(await promisify(store.length.bind(store))()).toBe(2);
    await new Promise((resolve) => store.clear(resolve));
    expect(await promisify(store.length.bind(store))()).toBe(0);
    expect(await db.count()).toBe(1);
  });

  test('tells the callback of a server that is away', async () => {
    const away = new SessionStore('http://127.0.0.1:1', { retries: 0 });
    await expect(promisify(away.get.bind(away))('a')).rejects.toMatchObject({ code: 'no-connection' });
  });
});

describe('the store for express-rate-limit', () => {
  test('limits a client over all servers of an application', async () => {
    const port = () => {
      const app = express();
      app.use(rateLimit({ windowMs: 100_000, limit: 3, store: new RateLimitStore(db), legacyHeaders: true }));
      app.get('/', (_, response) => void response.send('in'));
      return serve(app);
    };
    const [one, other] = [await port(), await port()];
    const statuses = [];
    for (const each of [one, other, one, other, one]) statuses.push((await ask(each, '/')).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    const { headers } = await ask(one, '/');
    const reset = Number(headers['x-ratelimit-reset']) - Date.now() / 1000;
    expect(reset).toBeGreaterThan(10);
  });

  test('takes a window of parts of milliseconds', async () => {
    const store = new RateLimitStore(db, { prefix: 'login/' });
    store.init({ windowMs: 100_000.4 } as never);
    await store.increment('a');
    const { created, expires } = (await db.info('login/a'))!;
    expect(Date.parse(expires!) - Date.parse(created)).toBe(100_001);
  });

  test('counts each hit once, from the first of a window on', async () => {
    const store = new RateLimitStore(db, { prefix: 'login/' });
    store.init({ windowMs: 100_000 } as never);
    expect(await store.get('a')).toBeUndefined();
    const hits = await Promise.all(Array.from({ length: 50 }, () => store.increment('a')));
    expect(hits.map(({ totalHits }) => totalHits).sort((one, other) => one - other)).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    expect(new Set(hits.map(({ resetTime }) => resetTime!.getTime())).size).toBe(1);
    await store.decrement('a');
    expect((await store.get('a'))!.totalHits).toBe(49);
    await store.decrement('none');
    expect(await store.get('none')).toBeUndefined();
    await store.increment('b');
    await store.resetKey('a');
    expect([await store.get('a'), (await store.get('b'))!.totalHits]).toEqual([undefined, 1]);
    await store.resetAll();
    expect(await store.get('b')).toBeUndefined();
  });
});
