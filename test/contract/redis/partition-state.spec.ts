import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { codeOf, countOf, incrOf, namesOf, put, putOf, textOf } from '../shorthand.js';

const KEY = 'key';

/** Such a moment there is in `redis-cli --cluster fix`, which gives a server a slot before it has all of its keys. */
describeOnRedis('a partition whose keys are not where they should be', (binary) => {
  let redis: RedisServer;
  let engine: RedisEngine;

  beforeAll(async () => {
    redis = await startRedis({ binary });
  });
  beforeEach(async () => {
    await redis.flush();
    engine = await opened();
    await put(engine, KEY, '1');
    await put(engine, keyElsewhere(), 'old');
  });
  afterEach(() => engine.close());

  async function opened(): Promise<RedisEngine> {
    const made = redisEngine(`${redis.url}?partitions=4`);
    await made.open();
    return made;
  }

  /** A key of another partition. */
  function keyElsewhere(): string {
    const { partitions } = engine['store'];
    const own = partitions.ofKey(KEY);
    return ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find((key) => partitions.ofKey(key) !== own)!;
  }

  /** Moves the Redis keys of the partition of KEY away, or back. */
  async function rename(from: string, to: string): Promise<void> {
    const { entryPrefix } = engine['store'].partitions.ofKey(KEY);
    const tag = entryPrefix.slice(0, entryPrefix.indexOf('}') + 1);
    for (const name of ['s', 'i', 'l', `e${KEY}`])
      await redis.cli('RENAME', `${tag}${name}${from}`, `${tag}${name}${to}`);
  }

  it('is not begun anew: writes and listings fail, other partitions do not, and all is as before when they are there', async () => {
    const position = await engine.position();
    await rename('', '-away');
    const writes = [
      engine.write(putOf(KEY, '2')),
      engine.write(incrOf(KEY, 1n)),
      engine.write({ op: 'delete', key: KEY }),
      engine.batch([putOf(KEY, '2')], true),
      countOf(engine, { prefix: '' }),
      namesOf(engine),
    ];
    const elsewhere = keyElsewhere();
    expect((await put(engine, elsewhere, 'x')).key).toBe(elsewhere);
    expect(new Set(await Promise.all(writes.map((write) => codeOf(write))))).toEqual(
      new Set(['unavailable']),
    );
    await rename('-away', '');
    expect(await textOf(engine, KEY)).toBe('1');
    expect((await engine.write(incrOf(KEY, 1n))).kind).toBe('updated');
    const page = await engine.changes(position);
    expect(page!.changes.map(({ key }) => key).toSorted()).toEqual([elsewhere, KEY].toSorted());
  });

  it('is begun anew at the next start, once an operator has said so', async () => {
    await rename('', '-lost');
    await redis.cli('HDEL', 'pigeonhole', 'begun');
    await engine.close();
    engine = await opened();
    expect((await put(engine, KEY, '2')).key).toBe(KEY);
    expect(await namesOf(engine)).toEqual([keyElsewhere(), KEY].toSorted());
  });

  it('is begun anew at the next start when all of the database is gone', async () => {
    await redis.flush();
    expect(await codeOf(put(engine, KEY, '2'))).toBe('unavailable');
    await engine.close();
    engine = await opened();
    expect((await put(engine, KEY, '2')).key).toBe(KEY);
  });
});
