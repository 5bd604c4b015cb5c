import { expect, test } from '@jest/globals';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import { ask } from '../../support/http.js';
import { pathOf } from '../../support/kv.js';
import { HANG_MS } from '../../support/eventually.js';
import { longDescribe, rounds, shortOrLong } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { underLoad, type Scene } from './scenario.js';

const WRITERS = 16;
const BLACK_HOLE_MS = shortOrLong(6_000, 20_000);
const LATE_MS = 100;
const TOO_LATE_MS = shortOrLong(4_000, 7_000);
const TOO_LATE_FOR_MS = shortOrLong(7_000, 12_000);
const CUTS = rounds(10, 200);
const CUT_WITHIN_BYTES = 4_000;
const UPLOADS = 2_000;
const UPLOAD = Buffer.alloc(128 * 1024, 'x');
const MOST_GROWTH_MIB = 256;
const TIMEOUT_MS = 5 * HANG_MS;

describeOnRedis(
  'a network with failures',
  (binary) => {
    /** Runs `fault` on a proxy before Redis under load. No acknowledged write may be lost. */
    async function scenario(name: string, fault: (proxy: TcpProxy, scene: Scene) => Promise<void>) {
      const redis = await startRedis({ binary });
      const proxy = await startTcpProxy(redis.port);
      const DATABASE_URL = `redis://127.0.0.1:${proxy.port}`;
      const found = await underLoad(name, { DATABASE_URL }, WRITERS, async (scene) => {
        await fault(proxy, scene);
        proxy.restore();
        await scene.recovered();
      });
      expect({ lost: found.lost, short: found.short }).toEqual({ lost: [], short: 0 });
      await proxy.stop();
      await redis.stop();
    }

    test(
      'that drops everything silently loses no acknowledged write',
      () =>
        scenario(`black hole for ${BLACK_HOLE_MS / 1000} s`, async (proxy) => {
          proxy.blackHole();
          await pause(BLACK_HOLE_MS);
        }),
      TIMEOUT_MS,
    );

    test(
      'that delays everything fails requests only after their deadline',
      () =>
        scenario(`${LATE_MS} ms, then ${TOO_LATE_MS / 1000} s late`, async (proxy, { load }) => {
          proxy.delay(LATE_MS);
          await pause(2_000);
          expect([...load.answers.keys()].filter((what) => what.includes(' 5'))).toEqual([]);
          proxy.delay(TOO_LATE_MS);
          await pause(TOO_LATE_FOR_MS);
        }),
      TIMEOUT_MS,
    );

    test(
      `that cuts connections in the middle of a reply, ${CUTS} times, loses no acknowledged write`,
      () =>
        scenario(`${CUTS} cuts in the middle of answers`, async (proxy) => {
          const random = new Random(4);
          for (let cut = 0; cut < CUTS; cut++) {
            proxy.cutAfter(random.below(CUT_WITHIN_BYTES));
            await pause(random.below(300));
            proxy.restore();
            await pause(random.below(300));
          }
        }),
      TIMEOUT_MS + CUTS * 1_000,
    );

    test(
      `that drops everything silently bounds the memory of ${UPLOADS} uploads`,
      () =>
        scenario('uploads into a black hole', async (proxy, { server, memoryNow }) => {
          proxy.blackHole();
          const before = memoryNow();
          const agent = new http.Agent({ keepAlive: true, maxSockets: UPLOADS });
          const uploads = Array.from({ length: UPLOADS }, (_, i) =>
            ask(server.port, pathOf(`upload/${i}`), { method: 'PUT', body: UPLOAD, agent }),
          );
          let peak = before;
          const sampler = setInterval(() => (peak = Math.max(peak, memoryNow())), 50);
          const answers = await Promise.all(uploads);
          clearInterval(sampler);
          agent.destroy();
          const refused = answers.filter(({ status }) => status === 503).length;
          const unknown = answers.filter(({ status }) => status === 504).length;
          process.stdout.write(
            `uploads into a black hole, ${REDIS_PROGRAM.name}: ${UPLOADS} of 128 KiB, ${refused} refused, ${unknown} of unknown outcome, ` +
              `RssAnon ${before} MiB before, ${peak} at most\n`,
          );
          expect(refused).toBeGreaterThan(0);
          expect(refused + unknown).toBe(UPLOADS);
          expect(peak - before).toBeLessThan(MOST_GROWTH_MIB);
        }),
      TIMEOUT_MS,
    );
  },
  longDescribe,
);
