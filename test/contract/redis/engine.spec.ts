import { beforeAll } from '@jest/globals';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';
import { describeWhere } from '../../support/requires.js';
import { engineContract } from '../engine-contract.js';
import { redisAt } from '../engines.js';

describeOnRedis(
  'the contract',
  (binary) => {
    const time = new ServerTime();
    let server: RedisServer;

    beforeAll(async () => {
      server = await startRedis({ binary, time });
    });

    engineContract(
      'redis',
      redisAt(false, time, () => server),
    );
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
