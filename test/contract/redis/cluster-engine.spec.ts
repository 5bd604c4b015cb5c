import { beforeAll } from '@jest/globals';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { engineContract } from '../engine-contract.js';
import { redisAt } from '../engines.js';

describeOnRedis('the contract', (binary) => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startCluster({ binary, replicas: 0 });
  });

  engineContract(
    'redis+cluster',
    redisAt(true, () => cluster),
  );
});
