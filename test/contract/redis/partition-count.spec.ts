import { beforeEach, expect, test } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { changesAfter, put } from '../shorthand.js';

describeOnRedis('a database of many partitions', (binary) => {
  let redis: RedisServer;
  let reported: string[];

  beforeEach(async () => {
    redis = await startRedis({ binary });
    reported = [];
  });

  function engineOf(partitions: number): RedisEngine {
    const report = (line: string) => void reported.push(line);
    return redisEngine(`${redis.url}?partitions=${partitions}`, { report });
  }

  test('is not made with more than 256, and the refusal says why', async () => {
    await expect(engineOf(257).open()).rejects.toThrow(
      /asks for 257 partitions; a new database can have 256 at most\. .* too long for a header\.$/,
    );
    expect(await redis.cli('DBSIZE')).toBe('0');
  });

  test('that exists with more opens, keeps its number, and says that its ids are long', async () => {
    await redis.cli('HSET', 'pigeonhole', 'format', '1', 'partitions', '512', 'epoch', '1700000000');
    const engine = engineOf(256);
    await engine.open();
    const start = await engine.position();
    await put(engine, 'a', 'x');
    expect((await changesAfter(engine, start))!.map(({ key }) => key)).toEqual(['a']);
    expect(engine['store'].partitions.all).toHaveLength(512);
    expect(reported.filter((line) => line.includes('a database of 512 partitions'))).toHaveLength(1);
    await engine.close();
  });

  test('has positions of at most 2000 characters, which a server that starts anew understands', async () => {
    const engine = engineOf(256);
    await engine.open();
    for (const { state } of engine['store'].partitions.all.slice(0, 2))
      await redis.cli(
        'HSET',
        state,
        'tag',
        `6553f100-${(2 ** 47).toString(16).padStart(13, '0')}-abcdefabcdef`,
      );
    const before = await engine.position();
    expect(before.length).toBeLessThanOrEqual(2000);
    await put(engine, 'a', 'x');
    const after = await engine.position();
    await engine.close();
    const another = engineOf(256);
    await another.open();
    expect((await changesAfter(another, after))!).toEqual([]);
    await another.close();
  });
});
