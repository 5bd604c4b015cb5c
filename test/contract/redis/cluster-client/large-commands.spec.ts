import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ClusterClient, type Command } from '../../../../src/storage/redis/cluster-client/cluster-client.js';
import type { Reply } from '../../../../src/storage/redis/cluster-client/connection.js';
import { parseRedisUrl } from '../../../../src/storage/redis/cluster-client/redis-url.js';
import { eventually } from '../../../support/eventually.js';
import { startCluster, type RedisCluster } from '../../../support/redis-cluster.js';
import { describeOnRedis } from '../../../support/redis.js';
import { codeOf, pause } from '../../shorthand.js';

const LARGEST = 16 * 2 ** 20;
const LARGE = 300 * 1024;
/** Longer than a server is silent before it counts as away. */
const BUSY = ['DEBUG', 'SLEEP', '1.5'];
/** A server that is away is noticed long before, one that is only waited for not. */
const DEADLINE_MS = 2_500;

describeOnRedis('a server of a cluster that has no replica', (binary) => {
  let cluster: RedisCluster;
  let client: ClusterClient;

  beforeAll(async () => {
    cluster = await startCluster({
      binary,
      primaries: 1,
      replicas: 0,
      args: ['--enable-debug-command', 'local'],
    });
    const ignore = () => undefined;
    client = new ClusterClient(parseRedisUrl(cluster.url)!, 0, ignore, ignore, () => performance.now());
    await client.topology.waitUntilReady();
    await client.topology.refresh();
    // Opens the connection for large values.
    await large(['GET', 'x'], LARGE);
  });

  afterAll(() => client.close());

  function small(options: Partial<Command> = {}): Promise<Reply> {
    return client.run({ slot: 0, args: ['TIME'], idempotent: true, ...options });
  }

  function large(args: Command['args'], replyBytes: number): Promise<Reply> {
    return client.run({ slot: 0, args, idempotent: true, replyBytes });
  }

  test('is not taken for dead while a large value keeps it busy, nor right after', async () => {
    let isOver = false;
    const busy = large(BUSY, LARGEST).finally(() => (isOver = true));
    const after = busy.then(() => small());
    const beside: Promise<Reply>[] = [];
    while (!isOver) {
      beside.push(small());
      await pause(20);
    }
    for (const reply of await Promise.all([after, ...beside])) expect(reply).toHaveLength(2);
  });

  test('is found dead while large values are under way to it', async () => {
    const [server] = cluster.nodes;
    server!.pause();
    try {
      const read = codeOf(large(['GET', 'x'], LARGE));
      const deadline = performance.now() + DEADLINE_MS;
      await expect(small({ deadline })).rejects.toThrow(/no replica can take its place/);
      expect(await read).toBe('unavailable');
    } finally {
      server!.resume();
    }
    await eventually(async () => (await codeOf(small())) === 'not refused');
  });
});
