import { beforeAll, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { HANG_MS } from '../../support/eventually.js';
import { longDescribe, rounds, shortOrLong } from '../../support/long-run.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { underLoad } from './scenario.js';

const FAILOVERS = rounds(2);
const SLOTS_MOVED = shortOrLong(500, 2_000);
const PAUSED_MS = shortOrLong(6_000, 30_000);
const DOWN_MS = shortOrLong(6_000, 60_000);
const WRITERS = 32;
const LOAD_MS = 500;
const TIMEOUT_MS = 5 * HANG_MS;

describeOnRedis(
  'a cluster with failures',
  (binary) => {
    let cluster: RedisCluster;
    let url: { DATABASE_URL: string };

    beforeAll(async () => {
      // Only so does every acknowledged write survive that all nodes go down.
      cluster = await startCluster({ binary, args: ['--appendfsync', 'always'] });
      url = { DATABASE_URL: cluster.url };
    });

    test(
      `${FAILOVERS} manual failovers lose nothing`,
      async () => {
        const name = `manual failovers: ${FAILOVERS} rounds`;
        const found = await underLoad(name, url, WRITERS, async ({ recovered }) => {
          for (let round = 0; round < FAILOVERS; round++) {
            await pause(LOAD_MS);
            const primary = await cluster.primaryOf((round * 5_461) % 16_384);
            const [replica] = await cluster.replicasOf(primary);
            await cluster.failover(replica!);
            await recovered();
          }
        });
        expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
      },
      TIMEOUT_MS + FAILOVERS * 30_000,
    );

    test(
      `resharding of ${SLOTS_MOVED} slots loses nothing`,
      async () => {
        const name = `resharding: ${SLOTS_MOVED} slots there and back`;
        const found = await underLoad(name, url, WRITERS, async ({ recovered }) => {
          const [from, to] = [await cluster.primaryOf(0), await cluster.primaryOf(16_383)];
          await cluster.reshard(from, to, SLOTS_MOVED);
          await recovered();
          await cluster.reshard(to, from, SLOTS_MOVED);
          await recovered();
        });
        expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
      },
      TIMEOUT_MS,
    );

    test(
      `SIGSTOP of a primary for ${PAUSED_MS / 1000} s breaks no rule`,
      async () => {
        const name = `SIGSTOP of a primary for ${PAUSED_MS / 1000} s`;
        await underLoad(name, url, WRITERS, async ({ recovered }) => {
          const primary = await cluster.primaryOf(0);
          primary.pause();
          await pause(PAUSED_MS);
          primary.resume();
          await cluster.waitHealthy();
          await recovered();
        });
      },
      TIMEOUT_MS,
    );

    test(
      `all nodes down for ${DOWN_MS / 1000} s lose nothing`,
      async () => {
        const name = `all nodes down for ${DOWN_MS / 1000} s`;
        const found = await underLoad(name, url, WRITERS, async ({ recovered }) => {
          await Promise.all(cluster.nodes.map((node) => node.kill()));
          await pause(DOWN_MS);
          await Promise.all(cluster.nodes.map((node) => node.restart()));
          await cluster.waitHealthy();
          await recovered();
        });
        expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
      },
      TIMEOUT_MS,
    );
  },
  longDescribe,
);
