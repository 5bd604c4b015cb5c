import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import { ask } from '../../support/http.js';
import { pageOf, pathOf, type Page } from '../../support/kv.js';
import { HANG_MS } from '../../support/eventually.js';
import { longDescribe, rounds } from '../../support/long-run.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { CountingWriters, RedisWatcher } from './watchers.js';

const FAILOVERS = rounds(2);
const KILLS = rounds(1);
const WATCHERS = 4;
const KEYS = 24;
const LOAD_MS = 1_000;
const TIMEOUT_MS = (3 + FAILOVERS) * HANG_MS;

describeOnRedis(
  'two servers on one cluster',
  (binary) => {
    let cluster: RedisCluster;
    let servers: ServerProcess[];
    let watchers: RedisWatcher[];
    let watching: Promise<unknown>;

    beforeAll(async () => {
      cluster = await startCluster({ binary });
    }, TIMEOUT_MS);

    beforeEach(async () => {
      // The second server gets the address of one node, and learns those of the others from it.
      const urls = [cluster.url, `redis+cluster://${cluster.nodes[0]!.address}`];
      servers = await Promise.all(urls.map((url) => startServer({ DATABASE_URL: url })));
      await ask(servers[0]!.port, '/kv?prefix=&confirm=all', { method: 'DELETE' });
      watchers = Array.from({ length: WATCHERS }, (_, i) => new RedisWatcher(servers[i % 2]!.port));
      watching = Promise.all(watchers.map((watcher) => watcher.run()));
      while (watchers.some(({ connections }) => connections === 0)) await pause(20);
    }, TIMEOUT_MS);

    afterEach(async () => {
      watchers.forEach((watcher) => watcher.stop());
      await watching;
      for (const server of servers) {
        const { stderr } = server.output();
        expect({ exit: await server.end('SIGTERM'), stderr: stderr.slice(0, 2_000) }).toEqual({
          exit: { code: 0, signal: null },
          stderr: '',
        });
      }
    }, TIMEOUT_MS);

    /** Writes while `fault` happens `times` times, and waits until every watcher has the state of the database. */
    async function follow(
      name: string,
      times: number,
      fault: (round: number) => Promise<void>,
    ): Promise<CountingWriters> {
      const writers = new CountingWriters(
        servers.map(({ port }) => port),
        KEYS,
      );
      writers.start();
      for (let round = 0; round < times; round++) {
        await pause(LOAD_MS);
        await fault(round);
      }
      await pause(LOAD_MS);
      await writers.stop();
      const begun = performance.now();
      const { items } = await listed(servers[0]!.port);
      const state = new Map(items.map(({ key, etag }) => [key, etag]));
      while (
        watchers.some((watcher) => !isSame(watcher.state, state)) &&
        performance.now() - begun < HANG_MS
      ) {
        await pause(20);
      }
      const sum = (of: (watcher: RedisWatcher) => number) =>
        watchers.reduce((all, each) => all + of(each), 0);
      process.stdout.write(
        `${name}, ${REDIS_PROGRAM.name}: ${times} rounds, ${writers.count} acknowledged, ${WATCHERS} watchers on 2 servers, ` +
          `${sum(({ changes }) => changes.length)} events, ${sum(({ twice }) => twice)} twice, ` +
          `${sum(({ repeated }) => repeated)} repeated by ${sum(({ connections }) => connections) - WATCHERS} reconnections, ` +
          `${sum(({ resets }) => resets)} resets, up to date ${Math.round(performance.now() - begun)} ms after the end\n`,
      );
      for (const watcher of watchers) {
        expect(watcher.state).toEqual(state);
        expect(watcher.twice).toBe(0);
        const disordered = [...watcher.numbers].filter(([, numbers]) =>
          numbers.some((number, i) => number <= (numbers[i - 1] ?? 0)),
        );
        expect(disordered).toEqual([]);
      }
      return writers;
    }

    test(
      'show what the other has acknowledged, and notify of each expiry once',
      async () => {
        const [a, b] = servers.map(({ port }) => port) as [number, number];
        for (let i = 0; i < 300; i++) {
          const [writer, reader] = i % 2 === 0 ? [a, b] : [b, a];
          await ask(writer, pathOf(`seen/${i % 7}`), { method: 'PUT', body: `${i}` });
          expect((await ask(reader, pathOf(`seen/${i % 7}`))).text).toBe(`${i}`);
        }
        const keys = Array.from({ length: 50 }, (_, i) => `short/${i}`);
        await Promise.all(
          keys.map((key, i) => ask([a, b][i % 2]!, `${pathOf(key)}?ttl=1s`, { method: 'PUT', body: `${i}` })),
        );
        const begun = performance.now();
        const expired = (watcher: RedisWatcher) => watcher.changes.filter(({ kind }) => kind === 'expire');
        while (
          watchers.some((each) => expired(each).length < keys.length) &&
          performance.now() - begun < HANG_MS
        ) {
          await pause(20);
        }
        await pause(1_500);
        for (const watcher of watchers) {
          expect(
            expired(watcher)
              .map(({ key }) => key)
              .toSorted(),
          ).toEqual(keys.toSorted());
          expect(watcher.twice).toBe(0);
        }
      },
      TIMEOUT_MS,
    );

    test(
      'notify every watcher of each acknowledged change once and in order, over manual failovers',
      async () => {
        const { acknowledged } = await follow('watching manual failovers', FAILOVERS, async (round) => {
          const primary = await cluster.primaryOf((round * 5_461) % 16_384);
          const [replica] = await cluster.replicasOf(primary);
          await cluster.failover(replica!);
        });
        for (const { numbers } of watchers) {
          for (const [key, all] of acknowledged) {
            const received = numbers.get(key)!;
            const known = new Set(received);
            // A watcher that had a reset has only the last value of what was before.
            expect([...all].filter((number) => number >= received[0]! && !known.has(number))).toEqual([]);
          }
        }
      },
      TIMEOUT_MS,
    );

    test(
      'notify in order, up to the state of the database, over kill -9 of primaries',
      async () => {
        await follow('watching kill -9 of primaries', KILLS, async (round) => {
          const slot = (round * 5_461) % 16_384;
          const primary = await cluster.primaryOf(slot);
          await primary.kill();
          while ((await cluster.primaryOf(slot).catch(() => primary)) === primary) await pause(100);
          await primary.restart();
          await cluster.waitHealthy();
        });
      },
      TIMEOUT_MS,
    );
  },
  longDescribe,
);

async function listed(port: number): Promise<Page> {
  return pageOf(port, '?limit=1000');
}

function isSame(some: ReadonlyMap<string, string>, others: ReadonlyMap<string, string>): boolean {
  return some.size === others.size && [...some].every(([key, tag]) => others.get(key) === tag);
}
