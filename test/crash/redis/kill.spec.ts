import { beforeAll, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, HANG_MS } from '../../support/eventually.js';
import { longDescribe, rounds } from '../../support/long-run.js';
import { NODE_TIMEOUT_MS, startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis } from '../../support/redis.js';
import { underLoad } from './scenario.js';

const ROUNDS = rounds(1);
const WRITERS = 32;
const LOAD_MS = 1_000;

describeOnRedis(
  'kill -9 of a primary',
  (binary) => {
    let cluster: RedisCluster;

    beforeAll(async () => {
      cluster = await startCluster({ binary });
    });

    test.each([0, 1])(
      `breaks no rule, and with replicas loses nothing: ${ROUNDS} rounds under ${WRITERS} writers, WAIT_REPLICAS=%i`,
      async (waitReplicas) => {
        const settings = { DATABASE_URL: cluster.url, WAIT_REPLICAS: `${waitReplicas}` };
        const name = `kill -9 of a primary, WAIT_REPLICAS=${waitReplicas}: ${ROUNDS} rounds`;
        let slowestElection = 0;
        const found = await underLoad(name, settings, WRITERS, async ({ recovered }) => {
          for (let round = 0; round < ROUNDS; round++) {
            await pause(LOAD_MS);
            const slot = (round * 5_461) % 16_384;
            const primary = await cluster.primaryOf(slot);
            await primary.kill();
            slowestElection = Math.max(slowestElection, await election(cluster, slot, primary));
            await primary.restart();
            await cluster.waitHealthy();
            await recovered();
          }
        });
        process.stdout.write(
          `${name}: the slowest election of the cluster took ${Math.round(slowestElection)} ms\n`,
        );
        // A write on one server may be lost with it, as Redis documents; a write on two servers may not.
        if (waitReplicas > 0)
          expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
        expect(found.load.acknowledged).toBeGreaterThan(ROUNDS * WRITERS);
      },
      (1 + ROUNDS) * HANG_MS,
    );
  },
  longDescribe,
);

/** How long it takes until another server has the slot. */
async function election(cluster: RedisCluster, slot: number, dead: RedisServer): Promise<number> {
  const begun = performance.now();
  await pause(NODE_TIMEOUT_MS);
  await eventually(async () => (await cluster.primaryOf(slot).catch(() => dead)) !== dead, 'an election');
  return performance.now() - begun;
}
