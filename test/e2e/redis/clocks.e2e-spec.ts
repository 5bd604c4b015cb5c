import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../../support/http.js';
import { pageOf, pathOf, put } from '../../support/kv.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { describeWhere } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../support/server-time.js';

const TWO_HOURS_MS = 2 * 3_600_000;
const YEAR_MS = 365 * 86_400_000;
const ENTRIES = 50;
/** Several sweeps. */
const BESIDE_MS = 4_000;

describeOnRedis(
  'a server whose clock is a year ahead',
  (binary) => {
    const time = new ServerTime();
    let right: ServerProcess;
    let wrong: ServerProcess;

    beforeEach(async () => {
      const redis = await startRedis({ binary });
      right = await startServer({ DATABASE_URL: redis.url });
      time.set(Date.now() + YEAR_MS);
      wrong = await startServer({ DATABASE_URL: redis.url, ...time.env });
    });
    afterEach(async () => {
      await Promise.all([right, wrong].map((server) => server.end('SIGTERM')));
    });

    it('ends no entry of anybody, and stamps none with its time', async () => {
      for (let i = 0; i < ENTRIES; i++) {
        await ask(right.port, `${pathOf(`k${i}`)}?ttl=1h`, { method: 'PUT', body: 'x' });
        await ask(wrong.port, `${pathOf(`w${i}`)}?ttl=1h`, { method: 'PUT', body: 'x' });
      }
      await pause(BESIDE_MS);
      for (const { port } of [right, wrong]) {
        const page = await pageOf(port, '?prefix=&limit=1000');
        expect(page.items).toHaveLength(2 * ENTRIES);
        for (const { modified, created, expires } of page.items) {
          for (const stamp of [modified, created, expires!])
            expect(Math.abs(Date.parse(stamp) - Date.now())).toBeLessThan(TWO_HOURS_MS);
        }
        for (const key of ['k0', 'w0']) expect((await ask(port, pathOf(key))).status).toBe(200);
      }
      expect((await put(wrong.port, 'k0', 'new', { 'If-None-Match': '*' })).status).toBe(412);
    });

    it('is said to be in its log', () => {
      expect(wrong.output().stdout + wrong.output().stderr).toMatch(
        /its clock is 3153[56][0-9]{3} s behind this computer's/,
      );
      expect(right.output().stdout + right.output().stderr).not.toContain('clock');
    });
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
