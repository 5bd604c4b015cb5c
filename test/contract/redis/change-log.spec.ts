import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseRedisUrl } from '../../../src/storage/redis/cluster-client/redis-url.js';
import { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { put } from '../shorthand.js';

const PARTITIONS = 1024;
/** A partition's share of 100,000 changes, rounded up, and of `watchLogBytes`. */
const MAX_CHANGES = 98;
const MAX_BYTES = 16 * 1024;
const KEY = 'a';

describeOnRedis('the change log of a partition', (binary) => {
  let redis: RedisServer;
  let engine: RedisEngine;

  beforeEach(async () => {
    redis = await startRedis({ binary });
    const settings = { watchLogBytes: PARTITIONS * MAX_BYTES, waitReplicas: 0, report: () => undefined };
    engine = new RedisEngine(parseRedisUrl(`${redis.url}?partitions=${PARTITIONS}`)!, settings);
    await engine.open();
  });
  afterEach(() => engine.close());

  /** The sizes of the partition's log after each of many writes, once it is full. */
  async function sizes(valueBytes: number): Promise<{ count: number; bytes: number }[]> {
    const store = engine['store'];
    const partition = store.partitions.ofKey(KEY);
    const found = [];
    for (let i = 0; i < 3 * MAX_CHANGES; i++) {
      await put(engine, KEY, Buffer.alloc(valueBytes, 'v'));
      if (i < MAX_CHANGES) continue;
      const reply = await store.read(partition, 'XRANGE', partition.log, '-', '+');
      const changes = reply as [Buffer, Buffer[]][];
      const bytes = changes.flatMap(([, fields]) => fields.filter((_, at) => at % 2 === 1));
      found.push({ count: changes.length, bytes: Buffer.concat(bytes).length });
    }
    return found;
  }

  test('keeps seven eighths of its most changes, and never more than all of them', async () => {
    for (const { count, bytes } of await sizes(0)) {
      expect(count).toBeLessThanOrEqual(MAX_CHANGES);
      expect(count).toBeGreaterThanOrEqual(Math.floor((MAX_CHANGES * 7) / 8));
      expect(bytes).toBeLessThan(MAX_BYTES);
    }
  });

  test('keeps seven eighths of its most bytes, less one change, and never more than all of them', async () => {
    const value = 300;
    for (const { count, bytes } of await sizes(value)) {
      expect(count).toBeLessThan(MAX_CHANGES);
      expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
      expect(bytes).toBeGreaterThanOrEqual((MAX_BYTES * 7) / 8 - 2 * value);
    }
  });
});
