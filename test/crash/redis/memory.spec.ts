import { expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import { ask, eachAtOnce } from '../../support/http.js';
import { batch, pageOf, pathOf, type Item } from '../../support/kv.js';
import { HANG_MS } from '../../support/eventually.js';
import { longDescribe, rounds } from '../../support/long-run.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { startServer } from '../../support/server.js';
import { underLoad } from './scenario.js';

const FLUSHES = rounds(40, 400);
const REFILLS = rounds(2, 20);
const WRITERS = 16;
const MAX_MEMORY = ['--maxmemory', '50mb', '--maxmemory-policy', 'noeviction'];
const LOG = { WATCH_LOG_BYTES: `${4 * 2 ** 20}` };
const VALUE = 'v'.repeat(20_000);
/** More than fit into the memory. */
const KEYS = 4_000;
const TIMEOUT_MS = 5 * HANG_MS;

describeOnRedis(
  'a server of Redis without its scripts, or without memory',
  (binary) => {
    test(
      `no request fails after a SCRIPT FLUSH, ${FLUSHES} times under load, and nothing is lost by a restart`,
      async () => {
        const cluster = await startCluster({ binary, replicas: 0, args: ['--appendfsync', 'always'] });
        const settings = { DATABASE_URL: cluster.url };
        const found = await underLoad(
          `${FLUSHES} SCRIPT FLUSH`,
          settings,
          WRITERS,
          async ({ load, recovered }) => {
            for (let i = 0; i < FLUSHES; i++) {
              await Promise.all(cluster.nodes.map((node) => node.cli('SCRIPT', 'FLUSH')));
              await pause(20);
            }
            expect([...load.answers.keys()].filter((what) => !/ 20[01]$/.test(what))).toEqual([]);
            await Promise.all(cluster.nodes.map((node) => node.restart()));
            await cluster.waitHealthy();
            await recovered();
          },
        );
        expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
        await cluster.stop();
      },
      TIMEOUT_MS + FLUSHES * 200,
    );

    test(
      `without memory puts are 507, the rest goes on, and no write is partial, ${REFILLS} times`,
      async () => {
        const redis = await startRedis({ binary, args: MAX_MEMORY });
        const server = await startServer({ DATABASE_URL: redis.url, ...LOG });
        const { port } = server;
        const put = (key: string, query = '') =>
          ask(port, `${pathOf(key)}${query}`, { method: 'PUT', body: VALUE });
        const seen = new Map<string, number>();
        await ask(port, `${pathOf('counter')}?incr=1`, { method: 'PATCH' });
        for (let round = 0; round < REFILLS; round++) {
          const stored: string[] = [];
          await eachAtOnce(
            Array.from({ length: KEYS }, (_, i) => `${round}/${i}`),
            WRITERS,
            async (key) => {
              const { status } = await put(key, key.endsWith('7') ? '?ttl=1h' : '');
              seen.set(`PUT ${status}`, (seen.get(`PUT ${status}`) ?? 0) + 1);
              if (status === 201) stored.push(key);
            },
          );
          // Well below what is used, because buffers make the use vary around the limit.
          await redis.cli('CONFIG', 'SET', 'maxmemory', '40mb');
          const full = await ask(port, pathOf(`${round}/one more`), { method: 'PUT', body: VALUE });
          expect({ status: full.status, code: codeOf(full.text) }).toEqual({
            status: 507,
            code: 'disk-full',
          });

          // As after a restart.
          await redis.cli('SCRIPT', 'FLUSH');
          expect((await ask(port, `${pathOf('counter')}?incr=1`, { method: 'PATCH' })).status).toBe(507);
          expect((await put(stored[0]!)).status).toBe(507);
          const refused = [
            { op: 'put', key: '{full}a', value: 'x' },
            { op: 'delete', key: '{full}b' },
          ];
          expect((await batch(port, refused)).status).toBe(507);
          expect((await ask(port, pathOf(stored[0]!))).text).toBe(VALUE);
          expect((await pageOf(port, `?limit=1000&prefix=${round}/`)).items.length).toBe(
            Math.min(1000, stored.length),
          );
          await expectConsistent(redis, port);
          await redis.cli('CONFIG', 'SET', 'maxmemory', '50mb');

          await eachAtOnce(stored, WRITERS, async (key) => {
            const { status } = await ask(port, pathOf(key), { method: 'DELETE' });
            seen.set(`DELETE ${status}`, (seen.get(`DELETE ${status}`) ?? 0) + 1);
          });
          expect((await put('again')).status).toBeLessThan(300);
          expect((await ask(port, `${pathOf('counter')}?incr=1`, { method: 'PATCH' })).text).toBe(
            `${round + 2}`,
          );
          await expectConsistent(redis, port);
        }
        const figures = [...seen].map(([what, times]) => `${times} ${what}`).join(', ');
        process.stdout.write(`no memory left, ${REDIS_PROGRAM.name}: ${REFILLS} rounds, ${figures}\n`);
        expect([...seen.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual([
          'DELETE 204',
          'PUT 201',
          'PUT 507',
        ]);
        expect(server.output().stderr).toBe('');
        await server.end('SIGTERM');
        await redis.stop();
      },
      TIMEOUT_MS + REFILLS * 20_000,
    );
  },
  longDescribe,
);

function codeOf(text: string): string {
  return (JSON.parse(text) as { code: string }).code;
}

/** What a line of the log counts beside what is in it (scripts/common-write.lua). */
const LINE_BYTES = 64;

/** Expects that entries, index, expiry and log (partitions.ts) agree with each other and with a listing. */
async function expectConsistent(redis: RedisServer, port: number): Promise<void> {
  const names = (await redis.cli('KEYS', '*')).split('\n');
  const state = names.find((name) => name.endsWith('}s'))!;
  const of = (what: string) => `${state.slice(0, -1)}${what}`;
  const entries = names.filter((name) => name.startsWith(of('e'))).map((name) => name.slice(of('e').length));
  const whole = await Promise.all(
    entries.slice(0, 50).map(async (key) => (await redis.cli('HKEYS', of('e') + key)).split('\n').toSorted()),
  );
  expect(whole).toEqual(whole.map(() => ['h', 'v']));
  expect((await redis.cli('ZRANGE', of('i'), '0', '-1')).split('\n')).toEqual(entries.toSorted());
  expect(names).not.toContain(of('t'));

  const listed: Item[] = [];
  for (let after = ''; ;) {
    const { items, next } = await pageOf(port, `?limit=1000${after}`);
    listed.push(...items);
    if (next === null) break;
    after = `&after=${encodeURIComponent(next)}`;
  }
  expect(listed.map(({ key }) => key)).toEqual(entries.toSorted());
  const expiring = (await redis.cli('ZRANGE', of('x'), '0', '-1')).split('\n').filter(Boolean).toSorted();
  expect(listed.flatMap(({ key, expires }) => (expires ? [key] : []))).toEqual(expiring);

  const [tag, bytes] = (await redis.cli('HMGET', state, 'tag', 'bytes')).split('\n');
  const length = Number(await redis.cli('XLEN', of('l')));
  expect(Number(bytes)).toBeGreaterThanOrEqual(length * LINE_BYTES);
  expect(length === 0).toBe(bytes === '0');
  expect(await redis.cli('XREVRANGE', of('l'), '+', '-', 'COUNT', '1')).toContain(tag);
}
