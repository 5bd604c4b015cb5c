import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { parseRedisUrl } from '../../../src/storage/redis/cluster-client/redis-url.js';
import { slotOf } from '../../../src/storage/redis/cluster-client/slots.js';
import { RedisEngine } from '../../../src/storage/redis/engine.js';
import { EventStream } from '../../support/events.js';
import { eventually } from '../../support/eventually.js';
import { ask, type Answer } from '../../support/http.js';
import { batch, expectProblem, pageOf, pathOf, put, stored } from '../../support/kv.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

const SLOTS = 16_384;
const REQUESTS = 10;
/** Ten times what they should take; each waited for 5 s where it might have been of use. */
const HANG_MS = 25_000;

/** A tag in the middle of the slots of the n-th of three primaries. */
function tagOf(primary: number): string {
  for (let i = 0; ; i++) {
    const share = (slotOf(`tag${i}`) / SLOTS) * 3 - primary;
    if (share > 0.2 && share < 0.8) return `{tag${i}}`;
  }
}

const [ALIVE, DEAD] = [tagOf(0), tagOf(1)];

interface Result {
  readonly status: number;
  readonly problem?: { readonly code: string };
}

function resultsOf(answer: Answer): Result[] {
  expect(answer.status).toBe(200);
  return (JSON.parse(answer.text) as { results: Result[] }).results;
}

describeOnRedis('a partition without a server', (binary) => {
  let cluster: RedisCluster;
  let server: ServerProcess;
  let victim: RedisServer;
  let proxy: TcpProxy;
  let port: number;
  let engine: RedisEngine;

  beforeAll(async () => {
    const args = ['--cluster-require-full-coverage', 'no'];
    cluster = await startCluster({ binary, replicas: 0, proxied: true, args });
    [, victim] = cluster.nodes as [RedisServer, RedisServer];
    [, proxy] = cluster.proxies as [TcpProxy, TcpProxy];
    server = await startServer({ DATABASE_URL: cluster.url });
    ({ port } = server);
    const settings = { watchLogBytes: 2 ** 20, waitReplicas: 0, report: () => undefined };
    engine = new RedisEngine(parseRedisUrl(cluster.url)!, settings);
    await engine.open();
  });

  beforeEach(async () => {
    for (const tag of [ALIVE, DEAD]) await stored(port, `${tag}/a`, 'before');
  });

  afterAll(async () => {
    await engine.close();
    await server.end('SIGTERM');
  });

  /** Waits until the server has noticed, which may leave the outcome of one write unknown. */
  async function noticed(): Promise<void> {
    const begun = performance.now();
    const first = await ask(port, pathOf(`${DEAD}/a`));
    process.stdout.write(
      `the first read: ${first.status} after ${Math.round(performance.now() - begun)} ms\n`,
    );
    await eventually(
      async () => (await put(port, `${DEAD}/a`, 'late')).status === 503,
      'a write was refused',
    );
  }

  async function back(name: string): Promise<void> {
    const begun = performance.now();
    await eventually(async () => (await put(port, `${DEAD}/a`, 'back')).status < 300, 'a write');
    await eventually(async () => (await ask(port, '/kv')).status === 200, 'a page');
    await eventually(async () => (await engine.state()).ready, 'a state without problems');
    process.stdout.write(`${name}: all well ${Math.round(performance.now() - begun)} ms after it was back\n`);
  }

  const faults: [string, () => Promise<unknown> | void, () => Promise<unknown> | void][] = [
    ['SIGSTOP', () => victim.pause(), () => victim.resume()],
    ['lost packets', () => proxy.blackHole(), () => proxy.restore()],
    ['kill -9', () => victim.kill(), () => victim.restart()],
  ];

  test.each(faults)('after %s fails fast and alone, and comes back', async (name, fail, restore) => {
    const watch = await EventStream.live(port, `/kv?prefix=${encodeURIComponent(ALIVE)}`);
    await fail();
    try {
      await noticed();
      expect(await engine.state()).toMatchObject({
        ready: false,
        notes: expect.arrayContaining([expect.stringMatching(`^127.0.0.1:${proxy.port} does not answer`)]),
      });

      const begun = performance.now();
      let slowest = 0;
      for (let i = 0; i < REQUESTS; i++) {
        const asked = performance.now();
        const answer = await ask(port, pathOf(`${DEAD}/a`));
        slowest = Math.max(slowest, performance.now() - asked);
        expectProblem(answer, 503, 'unavailable');
        expect(answer.headers['retry-after']).toBeDefined();
      }
      process.stdout.write(`${name} of a partition: 503 within ${Math.round(slowest)} ms\n`);
      expect(performance.now() - begun).toBeLessThan(HANG_MS);

      for (const query of ['', '?count=true', '?prefix=x&values=true']) {
        const problem = expectProblem(await ask(port, `/kv${query}`), 503, 'unavailable');
        expect(problem.detail).toMatch(/no replica can take its place/);
      }

      const etag = await stored(port, `${ALIVE}/a`, 'meanwhile');
      await watch.told(`${ALIVE}/a`, etag.slice(1, -1));
      const other = await EventStream.live(port, `/kv?prefix=${encodeURIComponent(ALIVE)}`);
      const next = await stored(port, `${ALIVE}/a`, 'later');
      await other.told(`${ALIVE}/a`, next.slice(1, -1));
      other.close();
      const { items } = await pageOf(port, `?prefix=${encodeURIComponent(ALIVE)}&values=true`);
      expect(items.map(({ value }) => value)).toEqual(['later']);

      const ops = [
        { op: 'get', key: `${DEAD}/a` },
        { op: 'put', key: `${ALIVE}/a`, value: 'batch' },
        { op: 'put', key: `${DEAD}/a`, value: 'batch' },
        { op: 'get', key: `${ALIVE}/a` },
      ];
      const results = resultsOf(await batch(port, ops, false));
      expect(results.map(({ status, problem }) => problem?.code ?? status)).toEqual([
        'unavailable',
        200,
        'unavailable',
        200,
      ]);
      const dead = ops.filter(({ key }) => key.startsWith(DEAD));
      expectProblem(await batch(port, dead, false), 503, 'unavailable');
      expectProblem(await batch(port, dead, true), 503, 'unavailable');
    } finally {
      await restore();
    }
    await back(name);
    watch.close();
  });

  test('tells a watcher of both what it could not read meanwhile', async () => {
    const watch = await EventStream.live(port, '/kv?prefix=%7Btag');
    victim.pause();
    await noticed();
    const alive = await stored(port, `${ALIVE}/a`, 'alive');
    await watch.told(`${ALIVE}/a`, alive.slice(1, -1));
    victim.resume();
    await back('a watch of both');
    const dead = await stored(port, `${DEAD}/a`, 'again');
    await watch.told(`${DEAD}/a`, dead.slice(1, -1));
    watch.close();
  });

  test('breaks off what would have been done by halves', async () => {
    victim.pause();
    try {
      await noticed();
      const line = (tag: string) => JSON.stringify({ key: `${tag}/line`, value: 'x', type: 'text/plain' });
      const answer = await ask(port, '/kv', {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-ndjson' },
        body: `${line(ALIVE)}\n${line(DEAD)}\n`,
      });
      expectProblem(answer, 504, 'outcome-unknown');
    } finally {
      victim.resume();
    }
    await back('an import');
  });
});
