import { beforeAll } from '@jest/globals';
import { longDescribe } from '../../support/long-run.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { ServerTime } from '../../support/server-time.js';
import { engineContract } from '../engine-contract.js';
import { lmdb, memory, redisAt } from '../engines.js';
import { namespaceIn } from '../namespaces.js';

engineContract('a namespace in memory', namespaceIn(memory));

longDescribe('the contract', () => engineContract('a namespace in lmdb', namespaceIn(lmdb)));

describeOnRedis(
  'the contract',
  (binary) => {
    const time = new ServerTime();
    let server: RedisServer;
    let cluster: RedisCluster;

    beforeAll(async () => {
      server = await startRedis({ binary, time });
      cluster = await startCluster({ binary, replicas: 0, time });
    });

    const single = redisAt(false, time, () => server);
    engineContract('a namespace in redis', namespaceIn(single));
    const many = redisAt(true, time, () => cluster);
    engineContract('a namespace in redis+cluster', namespaceIn(many));
  },
  longDescribe,
);
