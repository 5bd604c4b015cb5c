import { expect, test } from '@jest/globals';
import { HANG_MS } from '../../support/eventually.js';
import { rounds, shortOrLong } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { startCluster } from '../../support/redis-cluster.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { Clients, keysOf } from './clients.js';
import { Findings } from './findings.js';
import { RedisFaults, type Surroundings } from './redis-faults.js';

const HISTORIES = rounds(2);
const LENGTH = shortOrLong(600, 2_000);
const SERVERS = 2;
/** Two of each primary, in these slots. */
const PARTITIONS = 6;
const SLOTS = [0, 2730, 5461, 8192, 10922, 13653];
/** A replica takes over only when it is told to: Redis loses writes when it does so by itself. */
const CLUSTER = { args: ['--cluster-replica-no-failover', 'yes'], proxied: true };
const TIMEOUT_MS = HANG_MS + HISTORIES * 60_000;

/** Records histories of clients of two servers, and judges them. */
async function recordAll(name: string, urls: readonly string[], surroundings: Surroundings): Promise<void> {
  const servers: ServerProcess[] = [];
  for (const DATABASE_URL of urls) servers.push(await startServer({ DATABASE_URL }));
  const faults = new RedisFaults(new Random(HISTORIES), surroundings);
  const found = new Findings();
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const random = new Random(seed);
    const clients = new Clients(random, keysOf(seed), LENGTH);
    let isOver = false;
    const running = clients.run(() => random.pick(servers).port).finally(() => (isOver = true));
    await faults.run(() => isOver || clients.sent > LENGTH / 2);
    await faults.reshape(SLOTS);
    await faults.run(() => isOver);
    await running;
    found.add(clients);
  }
  const exits = await Promise.all(servers.map((server) => server.end('SIGTERM')));
  found.print(name, faults.describe());
  expect(found.wrong).toEqual([]);
  expect(exits).toEqual(servers.map(() => ({ code: 0, signal: null })));
  expect(found.operations).toBeGreaterThan((HISTORIES * LENGTH) / 2);
}

describeOnRedis('two servers and a network that loses answers', (binary) => {
  test(
    `${HISTORIES} histories of ${LENGTH} requests are linearizable`,
    async () => {
      const redis = await startRedis({ binary });
      const proxies = await Promise.all(Array.from({ length: SERVERS }, () => startTcpProxy(redis.port)));
      const urls = proxies.map(({ port }) => `redis://127.0.0.1:${port}`);
      await recordAll(`linearizability, ${binary}`, urls, { nodes: [redis], proxies });
      await redis.stop();
    },
    TIMEOUT_MS,
  );

  test(
    `${HISTORIES} histories of ${LENGTH} requests on a cluster that changes are linearizable`,
    async () => {
      const cluster = await startCluster({ binary, ...CLUSTER });
      const urls = Array.from({ length: SERVERS }, () => `${cluster.url}?partitions=${PARTITIONS}`);
      const { nodes, proxies } = cluster;
      await recordAll(`linearizability, a cluster of ${binary}`, urls, { nodes, proxies, cluster });
      await cluster.stop();
    },
    TIMEOUT_MS,
  );
});
