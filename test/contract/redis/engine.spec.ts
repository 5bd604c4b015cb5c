import { beforeAll } from '@jest/globals';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { engineContract } from '../engine-contract.js';
import { redisAt } from '../engines.js';

describeOnRedis('the contract', (binary) => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis({ binary });
  });

  engineContract(
    'redis',
    redisAt(false, () => server),
  );
});
