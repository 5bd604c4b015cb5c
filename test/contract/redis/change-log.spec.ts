import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseRedisUrl } from '../../../src/storage/redis/cluster-client/redis-url.js';
import { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { put } from '../shorthand.js';

const PARTITIONS = 1024;
/** The share that a partition has of 100,000 changes, and of the bytes below. */
const MOST_CHANGES = 98;
const MOST_BYTES = 16 * 1024;
const KEY = 'a';

describeOnRedis('the change log of a partition', (binary) => {
  let redis: RedisServer;
  let engine: RedisEngine;

  beforeEach(async () => {
    redis = await startRedis({ binary });
    const settings = { watchLogBytes: PARTITIONS * MOST_BYTES, waitReplicas: 0, report: () => undefined };
    engine = new RedisEngine(parseRedisUrl(`${redis.url}?partitions=${PARTITIONS}`)!, settings);
    await engine.open();
  });
  afterEach(() => engine.close());

  /** The sizes of the partition's log, behind each of many writes. */
  async function sizes(valueBytes: number): Promise<{ count: number; bytes: number }[]> {
    const database = engine['database'];
    const partition = database.layout.partitionOf(KEY);
    const found = [];
    for (let i = 0; i < 3 * MOST_CHANGES; i++) {
      await put(engine, KEY, Buffer.alloc(valueBytes, 'v'));
      if (i < MOST_CHANGES) continue;
      const reply = await database.read(partition, 'XRANGE', partition.log, '-', '+');
      const changes = reply as [Buffer, Buffer[]][];
      const bytes = changes.flatMap(([, fields]) => fields.filter((_, at) => at % 2 === 1));
      found.push({ count: changes.length, bytes: Buffer.concat(bytes).length });
    }
    return found;
  }

  test('has as many changes as it may, and at least seven eighths of them', async () => {
    for (const { count, bytes } of await sizes(0)) {
      expect(count).toBeLessThanOrEqual(MOST_CHANGES);
      expect(count).toBeGreaterThanOrEqual(Math.floor((MOST_CHANGES * 7) / 8));
      expect(bytes).toBeLessThan(MOST_BYTES);
    }
  });

  test('has as many bytes as it may, and at least seven eighths of them but for a change', async () => {
    const value = 300;
    for (const { count, bytes } of await sizes(value)) {
      expect(count).toBeLessThan(MOST_CHANGES);
      expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
      expect(bytes).toBeGreaterThanOrEqual((MOST_BYTES * 7) / 8 - 2 * value);
    }
  });
});
