import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { KeyRange } from '../../../src/storage/key-range.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { put } from '../shorthand.js';

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
      await redis.cli('CONFIG', 'RESETSTAT');
      await work();
      const stats = await redis.cli('INFO', 'commandstats');
      const calls = [...stats.matchAll(/cmdstat_z(?:rev)?(?:rangebylex|lexcount):calls=(\d+)/g)];
      return calls.reduce((sum, [, count]) => sum + Number(count), 0);
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
