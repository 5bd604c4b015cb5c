import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { LmdbEngine } from '../../src/storage/lmdb/lmdb.engine.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import { parseRedisUrl } from '../../src/storage/redis/redis-url.js';
import { RedisEngine } from '../../src/storage/redis/redis.engine.js';
import type { RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import type { EngineFactory } from './rule.js';

export const MAX_SNAPSHOT_AGE = 600_000;

export const memory: EngineFactory = {
  make: (clock) => new MemoryEngine(clock),
  storedEntries: (engine) => (engine as MemoryEngine)['entries'].size,
};

export const lmdb: EngineFactory = {
  make: (clock, folder) =>
    new LmdbEngine(
      folder,
      { onFailure: mustNotFail, maxSnapshotAge: MAX_SNAPSHOT_AGE, watchLogBytes: 2 ** 20 },
      clock,
    ),
  restore: (file, folder) => copyFileSync(file, join(folder, 'data.mdb')),
  storedEntries: (engine) => (engine as LmdbEngine)['store'].entryCount(),
};

/** In servers that run once the tests do, emptied for every rule. */
export function redisAt(cluster: boolean, started: () => RedisServer | RedisCluster): EngineFactory {
  const anywhere = `redis${cluster ? '+cluster' : ''}://127.0.0.1:1`;
  return {
    make: (clock, folder) =>
      new RedisEngine(
        parseRedisUrl(folder === '' ? anywhere : started().url)!,
        { watchLogBytes: 2 ** 20, waitReplicas: 0, report: () => undefined },
        clock,
      ),
    clean: async () => {
      const server = started();
      const nodes = 'nodes' in server ? server.nodes : [server];
      await Promise.all(nodes.map((node) => node.cli('FLUSHALL')));
    },
    storedEntries: async (engine) => {
      const { layout } = (engine as RedisEngine)['database'];
      const counts = layout.partitions.map(async (partition) =>
        (engine as RedisEngine)['database'].read(partition, 'ZCARD', partition.index),
      );
      return (await Promise.all(counts)).reduce<number>((sum, count) => sum + (count as number), 0);
    },
  };
}

function mustNotFail(error: Error): void {
  throw error;
}
