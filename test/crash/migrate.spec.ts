import { beforeAll, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import {
  contentOf,
  fill,
  FOLLOWING,
  linesOf,
  Load,
  newLmdb,
  textEntries,
  VERIFIED,
} from '../e2e/migration/migrate.cases.js';
import { REDIS_PROGRAM } from '../support/redis-program.js';
import { Cli, runCli } from '../support/cli.js';
import { HANG_MS } from '../support/eventually.js';
import { longTest, rounds } from '../support/long-run.js';
import { Random } from '../support/random.js';
import { startCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { startServer, type ServerProcess } from '../support/server.js';

const ROUNDS = rounds(2);
const ENTRIES = 20_000;
const LONGEST_MS = 2_500;

describeOnRedis('pigeonhole migrate', (binary) => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis({ binary });
  });

  async function expectSame(from: string, to: string, load: Load): Promise<void> {
    const [there, here] = [linesOf(await contentOf(to)), linesOf(await contentOf(from))];
    const written = new Set(there);
    const lost = linesOf(load.entries()).filter((line) => !written.has(line));
    const wrong = there.filter((line, i) => line !== here[i]);
    expect({ count: there.length, lost, wrong }).toEqual({ count: here.length, lost: [], wrong: [] });
  }

  test(
    `copies everything, though it is killed ${ROUNDS} times while the server writes`,
    async () => {
      await redis.flush();
      const from = newLmdb();
      await fill(from, textEntries(ENTRIES));
      const server = await startServer({ DATABASE_URL: from });
      const load = new Load(server.port);
      const random = new Random(ROUNDS);
      for (let round = 0; round < ROUNDS; round++) {
        const migrate = new Cli(['migrate', from, redis.url]);
        await pause(random.below(LONGEST_MS));
        migrate.signal('SIGKILL');
        await migrate.ended;
      }
      const migrate = new Cli(['migrate', from, redis.url]);
      await migrate.waitFor(FOLLOWING);
      await load.stop();
      await server.end('SIGTERM');
      await pause(random.below(LONGEST_MS));
      migrate.signal('SIGKILL');
      // It may have finished before the kill, and then there is no migration to continue.
      const { code } = await migrate.ended;
      if (code !== 0) {
        const last = await runCli(['migrate', from, redis.url]);
        expect({ code: last.code, stdout: last.stdout }).toEqual({
          code: 0,
          stdout: expect.stringMatching(VERIFIED),
        });
      }
      await expectSame(from, redis.url, load);
      process.stdout.write(
        `migrate, kill -9, ${REDIS_PROGRAM.name}: ${ROUNDS} rounds, ${ENTRIES} entries, ${load.writes} writes meanwhile, 0 lost, 0 wrong\n`,
      );
    },
    (2 + ROUNDS) * HANG_MS,
  );

  longTest(
    'continues over failovers of the target cluster',
    async () => {
      const cluster = await startCluster({ binary, replicas: 1 });
      const from = newLmdb();
      await fill(from, textEntries(5 * ENTRIES));
      const server = await startServer({ DATABASE_URL: from });
      const load = new Load(server.port);
      const migrate = new Cli(['migrate', from, cluster.url]);
      await migrate.waitFor('Copying');
      await pause(300);
      await cluster.nodes[0]!.kill();
      await migrate.waitFor(FOLLOWING);
      await cluster.nodes[0]!.restart();
      await cluster.waitHealthy();
      await cluster.nodes[1]!.kill();
      await pause(LONGEST_MS);
      await load.stop();
      await server.end('SIGTERM');
      const { code, stdout } = await migrate.ended;
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(VERIFIED) });
      await expectSame(from, cluster.url, load);
      const repaired = [...stdout.matchAll(/^(\d+) keys differed/gm)].map(([, count]) => count);
      process.stdout.write(
        `migrate, failovers, ${REDIS_PROGRAM.name}: 2, ${load.writes} writes meanwhile, ${repaired.join(' + ') || 0} keys mended, 0 lost\n`,
      );
      await cluster.stop();
    },
    5 * HANG_MS,
  );

  longTest(
    'ends with one line when its target stays away, and continues when that is back',
    async () => {
      await redis.flush();
      const from = newLmdb();
      await fill(from, textEntries(5 * ENTRIES));
      const server: ServerProcess = await startServer({ DATABASE_URL: from });
      const load = new Load(server.port);
      const migrate = new Cli(['migrate', from, redis.url]);
      await migrate.waitFor('Copying');
      await pause(300);
      await redis.kill();
      const { code, stderr } = await migrate.ended;
      expect({ code, last: stderr.trimEnd().split('\n').at(-1) }).toEqual({
        code: 1,
        last: expect.stringMatching(
          /^pigeonhole: Redis does not answer at present\..* The copy is not finished; the same command goes on where this one stopped\.$/,
        ),
      });
      await redis.restart();
      const again = new Cli(['migrate', from, redis.url]);
      await again.waitFor(FOLLOWING);
      await load.stop();
      await server.end('SIGTERM');
      expect((await again.ended).code).toBe(0);
      await expectSame(from, redis.url, load);
    },
    5 * HANG_MS,
  );
});
