import { beforeAll } from '@jest/globals';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';
import { describeWhere } from '../../support/requires.js';
import { engineContract } from '../engine-contract.js';
import { redisAt } from '../engines.js';

describeOnRedis(
  'the contract',
  (binary) => {
    const time = new ServerTime();
    let cluster: RedisCluster;

    beforeAll(async () => {
      cluster = await startCluster({ binary, replicas: 0, time });
    });

    engineContract(
      'redis+cluster',
      redisAt(true, time, () => cluster),
    );
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
