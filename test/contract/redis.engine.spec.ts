import { beforeAll } from '@jest/globals';
import { startCluster, type RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { engineContract } from './engine-contract.js';
import { redisAt } from './engines.js';

describeOnRedis('the contract', (binary) => {
  let server: RedisServer;
  let cluster: RedisCluster;

  beforeAll(async () => {
    server = await startRedis({ binary });
    cluster = await startCluster({ binary, replicas: 0 });
  });

  engineContract(
    'redis',
    redisAt(false, () => server),
  );
  engineContract(
    'redis+cluster',
    redisAt(true, () => cluster),
  );
});
