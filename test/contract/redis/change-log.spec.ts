import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { eventually } from '../../support/eventually.js';
import { FakeTime } from '../../support/fake-time.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { describeWhere } from '../../support/requires.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';
import { redisEngine } from '../engines.js';
import { changesAfter, put, putOf } from '../shorthand.js';

const PARTITIONS = 16;
const SHARE = 16 * 1024;
const WHOLE = PARTITIONS * SHARE;
const MINUTE_MS = 60_000;
const KEY = '{tag}a';
/** A change of such a value counts with what Redis needs for it. */
const VALUE = Buffer.alloc(1000, 'v');
const PUTS_IN_SHARE = 12;

describeOnRedis(
  'the change log of a partition',
  (binary) => {
    const clock = new ServerTime();
    let redis: RedisServer;
    let engine: RedisEngine;
    let time: FakeTime;

    beforeAll(async () => {
      redis = await startRedis({ binary, time: clock });
    });
    beforeEach(async () => {
      await redis.flush();
      time = new FakeTime();
      clock.follow(time);
      engine = redisEngine(`${redis.url}?partitions=${PARTITIONS}`, { watchLogBytes: WHOLE }, time.elapsed);
      await engine.open();
    });
    afterEach(() => engine.close());

    async function putMany(count: number): Promise<void> {
      for (let i = 0; i < count; i++) await put(engine, KEY, VALUE);
    }

    async function logBytes(): Promise<number> {
      const store = engine['store'];
      const partition = store.partitions.ofKey(KEY);
      const reply = (await store.read(partition, 'XRANGE', partition.log, '-', '+')) as [Buffer, Buffer[]][];
      return Buffer.concat(reply.flatMap(([, fields]) => fields)).length;
    }

    it('keeps what is younger than a minute, however much is written', async () => {
      const start = await engine.position();
      const count = 5 * PUTS_IN_SHARE;
      for (let i = 0; i < count; i++) {
        time.advance(MINUTE_MS / count - 1);
        await put(engine, KEY, VALUE);
      }
      expect(await changesAfter(engine, start)).toHaveLength(count);
    });

    it('keeps its share at any age, and drops the rest once that is old, if anybody writes or not', async () => {
      await putMany(3 * PUTS_IN_SHARE);
      const early = await engine.position();
      await putMany(PUTS_IN_SHARE);
      expect(await logBytes()).toBeGreaterThan(2 * SHARE);
      for (let minutes = 0; minutes < 3; minutes++) {
        time.advance(MINUTE_MS);
        await put(engine, KEY, 'x');
      }
      await eventually(async () => (await logBytes()) <= SHARE, 'the log to shrink');
      expect(await changesAfter(engine, early)).toHaveLength(PUTS_IN_SHARE + 3);
    });

    it('never has more than all partitions together may have', async () => {
      const start = await engine.position();
      for (let i = 0; i < WHOLE / VALUE.length; i++) {
        await put(engine, KEY, VALUE);
        if (i % 16 === 0) expect(await logBytes()).toBeLessThanOrEqual(WHOLE);
      }
      expect(await engine.changes(start)).toBeUndefined();
      expect(await logBytes()).toBeGreaterThan((WHOLE * 3) / 4);
    });

    it('never drops what the same batch has written', async () => {
      await putMany(3);
      const start = await engine.position();
      const batch = Array.from({ length: 600 }, (_, i) => putOf(`{tag}${i}`, VALUE));
      await engine.batch(batch, true);
      expect(await logBytes()).toBeGreaterThan(2 * WHOLE);
      expect(await changesAfter(engine, start)).toHaveLength(600);
      await putMany(200);
      await eventually(async () => (await logBytes()) <= WHOLE, 'the log to shrink');
    });
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
