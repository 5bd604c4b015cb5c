import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { FakeTime } from '../../support/fake-time.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { describeWhere } from '../../support/requires.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';
import { redisEngine } from '../engines.js';
import { contents, randomLives, restore } from '../past-life.js';
import { momentOf, versionAt, wholeHistory } from '../past-model.js';
import { codeOf, put, putOf } from '../shorthand.js';

const PARTITIONS = 16;

describeOnRedis(
  'a random life of a database',
  (binary) => {
    const time = new ServerTime();
    let server: RedisServer;
    beforeAll(async () => {
      server = await startRedis({ binary, time });
    });
    beforeEach(() => server.flush());

    randomLives((life) => {
      time.follow(life.time);
      return redisEngine(server.url, { watchLogBytes: life.watchLogBytes }, life.time.clock()['monotonic']);
    });
  },
  describeWhere(canSetServerTime, WHY_NOT),
);

describeOnRedis('the past', (binary) => {
  const time = new ServerTime();
  const fake = new FakeTime();
  let server: RedisServer;
  let engine: RedisEngine;
  beforeAll(async () => {
    server = await startRedis({ binary, time });
    time.follow(fake);
  });
  afterEach(() => engine.close());

  async function open(partitions: number, watchLogBytes = 2 ** 20): Promise<void> {
    await server.flush();
    const url = `${server.url}?partitions=${partitions}`;
    engine = redisEngine(url, { watchLogBytes }, fake.clock()['monotonic']);
    await engine.open();
  }

  /** How many removals the index of the first partition has. */
  async function indexed(): Promise<number> {
    const { store } = engine as unknown as { store: RedisEngine['store'] };
    return Number(await server.cli('ZCARD', store.partitions.all[0]!.removals));
  }

  describe('of several partitions', () => {
    beforeEach(() => open(PARTITIONS));

    test('has a moment of every key at a time and at a position, and at a tag of those that share its `{tag}`', async () => {
      const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
      for (const key of keys) await put(engine, key, 'old');
      const { etag } = await put(engine, 'own{t}', 'old');
      await put(engine, 'near{t}', 'old');
      const names = [{ tag: await engine.position() }, { time: engine.now() }];
      fake.advance(1000);
      for (const key of keys) await put(engine, key, 'new');
      for (const key of ['own{t}', 'near{t}']) await put(engine, key, 'new');
      for (const name of names)
        for (const key of [...keys, 'own{t}', 'near{t}'])
          expect((await versionAt(engine, key, name)).value?.toString()).toBe('old');
      expect((await versionAt(engine, 'own{t}', { tag: etag })).value?.toString()).toBe('old');
      expect((await versionAt(engine, 'near{t}', { tag: etag })).entry).toBeUndefined();
      const codes = await Promise.all(keys.map((key) => codeOf(versionAt(engine, key, { tag: etag }))));
      expect(codes).toContain('not-supported');
    });

    test('puts a range over all of them back to a time or a position, and one of a `{tag}` to a tag too', async () => {
      for (let i = 0; i < 60; i++) await put(engine, `p/${i}`, String(i));
      for (let i = 0; i < 60; i += 3) await engine.write({ op: 'delete', key: `p/${i}` });
      await put(engine, '{t}/a', '1');
      const { etag } = await put(engine, '{t}/b', '1');
      const before = await contents(engine, '');
      const moments = [{ tag: await engine.position() }, { time: engine.now() }];
      for (const moment of moments) {
        fake.advance(1000);
        for (let i = 0; i < 60; i += 2) await put(engine, `p/${i}`, 'x');
        for (let i = 0; i < 60; i += 5) await engine.write({ op: 'delete', key: `p/${i}` });
        await put(engine, 'p/new', 'x');
        await put(engine, '{t}/a', '2');
        const { errors, unchanged } = await restore(engine, '', moment);
        expect({ errors, unchanged }).toEqual({ errors: [], unchanged: 17 });
        expect(await contents(engine, '')).toEqual(before);
      }
      await put(engine, '{t}/b', '2');
      expect(await restore(engine, '{t}/', { tag: etag })).toMatchObject({ restored: 1, deleted: 0 });
      expect(await contents(engine, '')).toEqual(before);
      expect(await codeOf(restore(engine, '', { tag: etag }))).toBe('not-supported');
    });
  });

  describe('where a key was absent', () => {
    test('is found by an index that who asks brings up, and no write', async () => {
      await open(1);
      for (let i = 0; i < 5; i++) {
        await put(engine, 'a', String(i));
        await engine.write({ op: 'delete', key: 'a' });
        await put(engine, 'b', String(i));
      }
      expect(await indexed()).toBe(0);
      expect((await wholeHistory(engine, 'a', 3)).map(({ kind }) => kind)).toEqual(
        Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? 'delete' : 'put')),
      );
      expect(await indexed()).toBe(5);
      await put(engine, 'a', 'again');
      await engine.write({ op: 'delete', key: 'a' });
      expect(await wholeHistory(engine, 'a')).toHaveLength(12);
    });

    test('is known while others write', async () => {
      await open(1, 2 ** 28);
      await put(engine, 'a', '1');
      await engine.write({ op: 'delete', key: 'a' });
      let isOver = false;
      const others = (async () => {
        while (!isOver)
          await engine.batch(
            Array.from({ length: 50 }, (_, i) => putOf(`o${i}`, 'x'.repeat(100))),
            false,
          );
      })();
      for (let i = 0; i < 50; i++) expect(await wholeHistory(engine, 'a')).toHaveLength(2);
      isOver = true;
      await others;
    });

    test('is forgotten with the log, of which the index keeps little more', async () => {
      await open(1, 2 ** 16);
      for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 100; i++) await put(engine, `k${i}`, 'x'.repeat(100));
        for (let i = 0; i < 100; i++) await engine.write({ op: 'delete', key: `k${i}` });
        await engine.past.history('k0', { limit: 1 });
        fake.advance(20_000);
      }
      const page = (await engine.past.history('k0', { limit: 1000 }))!;
      expect(page).toMatchObject({ isCut: true });
      expect(page.changes.length).toBeLessThan(20);
      expect(await indexed()).toBeLessThan(1500);
    });

    test('is shown by a server whose memory is full', async () => {
      await open(1);
      await put(engine, 'a', '1');
      await engine.write({ op: 'delete', key: 'a' });
      await server.cli('CONFIG', 'SET', 'maxmemory', '1');
      expect(await codeOf(put(engine, 'b', '1'))).toBe('disk-full');
      expect(await wholeHistory(engine, 'a')).toHaveLength(2);
      await server.cli('CONFIG', 'SET', 'maxmemory', '0');
    });
  });

  test('of a log that has dropped something begins where the last of its parts does', async () => {
    await open(4, 2 ** 17);
    const first = await put(engine, 'a', '1');
    expect((await engine.stats()).oldestChange).toBe(first.modified);
    for (let i = 0; i < 10; i++) {
      fake.advance(1000);
      await put(engine, 'a', Buffer.alloc(60_000));
    }
    const { oldestChange } = await engine.stats();
    expect(oldestChange).toBeGreaterThan(first.modified);
    const moment = await momentOf(engine, { time: oldestChange! - 1 });
    expect(await codeOf(engine.past.version('a', moment))).toBe('history-gone');
    expect((await versionAt(engine, 'a', { time: oldestChange! })).entry).toBeDefined();
  });
});
