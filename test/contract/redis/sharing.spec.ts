import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { eventually } from '../../support/eventually.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { entryOf, incrOf, kindOf, namesOf, pause, put, textOf } from '../shorthand.js';

/** Epochs, which are parts of channels, differ when databases are made so long after one another. */
const ANOTHER_EPOCH_MS = 1_000;

describeOnRedis('servers that share a Redis', (binary) => {
  let redis: RedisServer;
  let cluster: RedisCluster;
  let engines: RedisEngine[] = [];

  beforeAll(async () => {
    redis = await startRedis({ binary });
    cluster = await startCluster({ binary, replicas: 0 });
  });
  beforeEach(() => Promise.all([redis, ...cluster.nodes].map((node) => node.flush())));
  afterEach(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    engines = [];
  });

  async function open(url: string): Promise<RedisEngine> {
    const engine = redisEngine(url);
    engines.push(engine);
    await engine.open();
    return engine;
  }

  it.each(['one server', 'a cluster'])(
    'and start on an empty one at the same time make one database: %s',
    async (kind) => {
      const { url } = kind === 'a cluster' ? cluster : redis;
      const all = await Promise.all(Array.from({ length: 8 }, () => open(url)));
      const start = await all[0]!.position();
      const sums = await Promise.all(all.map((engine) => engine.write(incrOf('n', 1n))));
      expect(new Set(sums.map((sum) => entryOf(sum).value.toString())).size).toBe(8);
      for (const engine of all) {
        expect(await textOf(engine, 'n')).toBe('8');
        expect((await engine.changes(start))?.changes).toHaveLength(8);
      }
    },
  );

  it.each(['one server', 'a cluster'])("are notified of each other's changes: %s", async (kind) => {
    const { url } = kind === 'a cluster' ? cluster : redis;
    const [writer, reader] = [await open(url), await open(url)];
    const position = await reader.position();
    const heard: string[] = [];
    let reading = Promise.resolve();
    const stop = reader.onChange(() => {
      reading = reading.then(async () => {
        const page = await reader.changes(position);
        heard.splice(0, Infinity, ...page!.changes.map(({ key }) => key));
      });
    });
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    for (const key of keys) await put(writer, key, 'x');
    await eventually(() => heard.length === keys.length, 'every expiry');
    stop();
    await reading;
    expect(heard.toSorted()).toEqual(keys.toSorted());
  });

  it('under different database numbers are independent and do not notify each other', async () => {
    const first = await open(redis.url);
    const same = await open(redis.url);
    await pause(ANOTHER_EPOCH_MS);
    const other = await open(`${redis.url}/1`);
    let calls = 0;
    first.onChange(() => calls++);
    await put(same, 'a', 'x');
    await eventually(() => calls > 0, 'a call');
    const before = calls;
    for (let i = 0; i < 20; i++) await put(other, `b${i}`, 'x');
    await pause(100);
    expect(calls).toBe(before);
    expect(await namesOf(first)).toEqual(['a']);
    expect(kindOf(await other.write({ op: 'get', key: 'a' }))).toBe('absent');
  });
});
