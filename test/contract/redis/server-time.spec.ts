import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { eventually } from '../../support/eventually.js';
import { FakeTime } from '../../support/fake-time.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { describeWhere } from '../../support/requires.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';
import { redisEngine } from '../engines.js';
import { put, textOf } from '../shorthand.js';

const HOUR_MS = 3_600_000;

describeOnRedis(
  'the time',
  (binary) => {
    const clock = new ServerTime();
    const lines: string[] = [];
    let redis: RedisServer;
    let time: FakeTime;
    let engines: RedisEngine[] = [];

    beforeAll(async () => {
      redis = await startRedis({ binary, time: clock });
    });
    beforeEach(async () => {
      await redis.flush();
      time = new FakeTime();
      clock.follow(time);
      lines.length = 0;
    });
    afterEach(async () => {
      await Promise.all(engines.map((engine) => engine.close()));
      engines = [];
    });

    async function open(): Promise<RedisEngine> {
      const report = (line: string) => void lines.push(line);
      const engine = redisEngine(redis.url, { report }, time.elapsed);
      engines.push(engine);
      await engine.open();
      return engine;
    }

    it('is that of the server, for all who share it', async () => {
      const [one, other] = [await open(), await open()];
      await put(one, 'a', 'x', { expiry: { in: HOUR_MS } });
      time.setWall(time.wall + HOUR_MS);
      const created = await put(other, 'a', 'new', { condition: { ifNoneMatch: '*' } });
      expect(created.created).toBe(time.wall);
      await eventually(() => one.now() === time.wall && other.now() === time.wall, 'the time of the server');
      expect(await textOf(one, 'a')).toBe('new');
    });

    it.each([-2 * HOUR_MS, 2 * HOUR_MS])(
      'is told to differ from this computer, by %i ms, in the log and in the state',
      async (by) => {
        time.setWall(Date.now() + by);
        const engine = await open();
        const side = by > 0 ? '(7200|719[0-9]) s ahead of' : '720[0-9] s behind';
        const sentence = new RegExp(`${redis.address}: its clock is ${side} this computer's`);
        expect(lines.filter((line) => sentence.test(line))).toHaveLength(1);
        expect((await engine.state()).notes.join(' ')).toMatch(sentence);
      },
    );

    it('is not told to differ where it does not', async () => {
      time.setWall(Date.now());
      const engine = await open();
      expect([...lines, ...(await engine.state()).notes].join(' ')).not.toContain('clock');
    });

    it('of a write runs on while the server’s clock stands far behind what this one knew', async () => {
      const engine = await open();
      await put(engine, 'a', 'x');
      time.setWall(time.wall - HOUR_MS);
      const later = await put(engine, 'a', 'y');
      expect(later.modified).toBe(time.wall + HOUR_MS);
    });
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
