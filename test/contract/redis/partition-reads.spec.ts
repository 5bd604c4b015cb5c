import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { KeyRange } from '../../../src/storage/key-range.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { RangePage } from '../../../src/storage/storage-engine.js';
import { eventually } from '../../support/eventually.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { put, putOf } from '../shorthand.js';

const KEYS = Array.from({ length: 200 }, (_, i) => `k${String(i).padStart(3, '0')}`);

async function keysOf(engine: RedisEngine): Promise<string[]> {
  const { items } = await engine.range({ prefix: '', limit: 1000 });
  return items.map(({ key }) => key);
}

async function scanned(engine: RedisEngine, range: KeyRange): Promise<string[]> {
  const keys: string[] = [];
  for await (const chunk of engine.scan({ ...range, values: true }))
    keys.push(...chunk.map(({ key }) => key));
  return keys;
}

/** Returns how often each command was called. */
async function callsOf(redis: RedisServer, work: () => unknown): Promise<(command: string) => number> {
  await redis.cli('CONFIG', 'RESETSTAT');
  await work();
  const stats = await redis.cli('INFO', 'commandstats');
  return (command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

describeOnRedis('a listing over many partitions', (binary) => {
  describe('of one server', () => {
    const PARTITIONS = 256;
    let redis: RedisServer;
    let engine: RedisEngine;

    beforeAll(async () => {
      redis = await startRedis({ binary });
      engine = redisEngine(`${redis.url}?partitions=${PARTITIONS}`);
      await engine.open();
      for (const key of KEYS) await put(engine, `{tag}${key}`, 'x');
    });
    afterAll(() => engine.close());

    /** How many indexes were read. */
    async function indexesRead(work: () => unknown): Promise<number> {
      const calls = await callsOf(redis, work);
      return calls('zrangebylex') + calls('zrevrangebylex') + calls('zlexcount');
    }

    test.each<KeyRange>([
      { prefix: '{tag}' },
      { prefix: '{tag}k00' },
      { prefix: '', from: '{tag}k000', to: '{tag}k100' },
      { prefix: '{', from: '{tag}', to: '{tag}z' },
    ])('asks one partition where all keys have one {tag}: %j', async (range) => {
      const page = () => engine.range({ ...range, limit: 500 });
      expect((await page()).items.length).toBe((await engine.count(range)).keys);
      expect(await scanned(engine, range)).toEqual((await page()).items.map(({ key }) => key));
      expect(await indexesRead(page)).toBe(1);
      expect(await indexesRead(() => engine.count(range))).toBe(1);
    });

    test.each<KeyRange>([
      { prefix: '' },
      { prefix: '{ta' },
      { prefix: '{}k' },
      { prefix: '', from: '{tag}k000', to: '{tah}' },
      { prefix: '', from: '{tag}k000' },
    ])('asks every partition where keys may be anywhere, and each once: %j', async (range) => {
      expect(await indexesRead(() => engine.count(range))).toBe(PARTITIONS);
      expect(await indexesRead(() => engine.range({ ...range, limit: 1 }))).toBeLessThan(PARTITIONS + 5);
    });
  });

  describe('of few keys each', () => {
    const PARTITIONS = 256;
    const LIMIT = 50;
    let redis: RedisServer;
    /** Sweeps nothing. */
    let reader: RedisEngine;

    async function written(operations: readonly BatchOperation[]): Promise<void> {
      const writer = redisEngine(`${redis.url}?partitions=${PARTITIONS}`);
      await writer.open();
      await writer.batch(operations, false);
      await writer.close();
    }

    beforeAll(async () => {
      redis = await startRedis({ binary });
      await written(KEYS.map((key) => putOf(key, 'x')));
      reader = redisEngine(`${redis.url}?partitions=${PARTITIONS}`, { readOnly: true });
      await reader.open();
      // Loads the script.
      await reader.range({ prefix: '', limit: 1 });
    });
    afterAll(() => reader.close());

    test.each([false, true])('reads little more than it shows, in descending order: %s', async (reverse) => {
      const shown = reverse ? KEYS.slice(0, 100).toReversed() : KEYS.slice(101);
      let page: RangePage | undefined;
      const calls = await callsOf(redis, async () => {
        page = await reader.range({ prefix: '', after: KEYS[100]!, limit: LIMIT, reverse });
      });
      expect(page!.items.map(({ key }) => key)).toEqual(shown.slice(0, LIMIT));
      expect(calls('hstrlen')).toBeLessThan(1.5 * LIMIT);
      expect(calls('zrangebylex') + calls('zrevrangebylex')).toBeLessThan(PARTITIONS + 1.5 * LIMIT);
      // Nothing here expires, so nothing has to be asked for it.
      expect(calls('zrangebyscore')).toBe(0);
      expect(calls('evalsha')).toBeLessThanOrEqual(4);
    });

    test('is full where entries have expired that nobody has removed', async () => {
      const expired = Array.from({ length: 3 * LIMIT }, (_, i) => `a${i}`);
      await written(expired.map((key) => putOf(key, 'x', { expiry: { in: 500 } })));
      await eventually(async () => (await reader.count({ prefix: 'a' })).keys === 0);
      const { items, next } = await reader.range({ prefix: '', limit: LIMIT });
      expect(items.map(({ key }) => key)).toEqual(KEYS.slice(0, LIMIT));
      expect(next).toBe(KEYS[LIMIT - 1]);
      const { all } = reader['store'].partitions;
      const stored = await Promise.all(all.map((each) => reader['store'].read(each, 'ZCARD', each.index)));
      expect((stored as number[]).reduce((sum, count) => sum + count, 0)).toBe(KEYS.length + expired.length);
    });
  });

  describe('of a cluster', () => {
    let cluster: RedisCluster;
    let engine: RedisEngine;

    beforeAll(async () => {
      cluster = await startCluster({ binary, replicas: 0 });
    });
    beforeEach(async () => {
      await Promise.all(cluster.nodes.map((node) => node.flush()));
      engine = redisEngine(`${cluster.url}?partitions=16`);
      await engine.open();
      for (const key of KEYS) await put(engine, key, 'x');
    });
    afterEach(() => engine.close());

    test('is whole after slots have moved that nobody told us of', async () => {
      const [first, second] = cluster.nodes;
      await cluster.reshard(first!, second!, 2500);
      expect(await keysOf(engine)).toEqual(KEYS);
      expect(await scanned(engine, { prefix: '' })).toEqual(KEYS);
      expect((await engine.count({ prefix: '' })).keys).toBe(KEYS.length);
      await cluster.reshard(second!, first!, 2500);
      expect(await keysOf(engine)).toEqual(KEYS);
    });

    test('fails, and never leaves keys out, while a slot is half-way to another server', async () => {
      const { slot, entryPrefix } = engine['store'].partitions.ofKey(KEYS[0]!);
      const from = await cluster.primaryOf(slot);
      const to = cluster.nodes.find((node) => node !== from)!;
      const [fromId, toId] = await Promise.all([from, to].map((node) => node.cli('CLUSTER', 'MYID')));
      await to.cli('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', fromId!);
      await from.cli('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', toId!);
      const move = (name: string) => from.cli('MIGRATE', '127.0.0.1', `${to.port}`, name, '0', '5000');
      const start = entryPrefix.slice(0, -1);
      // The first key of all, then the index, then the state: one more is not where the others are each time.
      for (const name of [entryPrefix + KEYS[0]!, `${start}i`, `${start}s`]) {
        await move(name);
        const listed = await keysOf(engine).catch((error: Error) => error);
        if (listed instanceof Error) expect(listed).toMatchObject({ code: 'unavailable' });
        else expect(listed).toEqual(KEYS);
      }
      const names = (await from.cli('CLUSTER', 'GETKEYSINSLOT', `${slot}`, '1000')).split('\n');
      for (const name of names.filter(Boolean)) await move(name);
      for (const node of [to, from]) await node.cli('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId!);
      expect(await keysOf(engine)).toEqual(KEYS);
    });
  });
});
