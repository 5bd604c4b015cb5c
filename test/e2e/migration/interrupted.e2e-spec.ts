import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { Cli, runCli, type Ended } from '../../support/cli.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { pathOf, put } from '../../support/kv.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { runToEnd, startServer } from '../../support/server.js';
import {
  contentOf,
  FOLLOWING,
  fill,
  type Kept,
  linesOf,
  Load,
  newLmdb,
  STOPPED,
  textEntries,
  VERIFIED,
} from './migrate.cases.js';
import { longTest } from '../../support/long-run.js';

/** Enough for an interruption in the middle of the copy. */
const MANY = 60_000;
const MORE_THAN_THE_LOG_HAS = 1_500;

function expectDone({ code, stdout }: Ended): void {
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(VERIFIED) });
}

async function expectInterrupted(migrate: Cli): Promise<void> {
  const { code, stdout, stderr } = await migrate.ended;
  expect({ code, last: stdout.trimEnd().split('\n').at(-1) }).toEqual({
    code: 130,
    last: 'Interrupted. The source is as it was. The same command goes on where this one stopped.',
  });
  expect(stderr).not.toContain('Error');
}

/** How many entries were written to the target, of how many in the source. */
function copied({ stdout }: { stdout: string }): [number, number] {
  const [, written, all] = /^Copied (\d+) of (\d+) entries/m.exec(stdout)!;
  return [Number(written), Number(all)];
}

describeOnRedis('pigeonhole migrate', (binary) => {
  let redis: RedisServer;
  let from: string;

  beforeAll(async () => {
    redis = await startRedis({ binary });
  });
  beforeEach(async () => {
    from = newLmdb();
    await redis.flush();
  });

  async function expectSame(): Promise<void> {
    const [there, here] = [linesOf(await contentOf(redis.url)), linesOf(await contentOf(from))];
    expect(there.length).toBe(here.length);
    expect(there.filter((line, i) => line !== here[i])).toEqual([]);
  }

  async function expectRefused(): Promise<void> {
    const { code, stderr } = await runToEnd({ DATABASE_URL: redis.url, PORT: '0' });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^(.*appendfsync.*\n|.*no replica.*\n)*pigeonhole: .*migration from lmdb:.*\n$/,
      ),
    });
  }

  test('goes on where SIGINT, kill -9 or SIGTERM stopped it; servers refuse the target until it is done', async () => {
    await fill(from, textEntries(MANY));
    const server = await startServer({ DATABASE_URL: from });
    const load = new Load(server.port);

    const first = new Cli(['migrate', from, redis.url]);
    await first.waitFor('Copying');
    await eventually(async () => Number(await redis.cli('DBSIZE')) > 1000, 'a part of the copy');
    first.signal('SIGINT');
    await expectInterrupted(first);
    await expectRefused();

    const second = new Cli(['migrate', from, redis.url]);
    await second.waitFor('Copying');
    await pause(100);
    second.signal('SIGKILL');
    await second.ended;

    const third = new Cli(['migrate', from, redis.url]);
    await third.waitFor(FOLLOWING);
    const [written, all] = copied(third);
    expect(written).toBeLessThan(all);
    third.signal('SIGTERM');
    await expectInterrupted(third);
    await load.stop();
    await server.end('SIGTERM');

    const fourth = new Cli(['migrate', from, redis.url]);
    await fourth.waitFor('Copied');
    fourth.signal('SIGINT');
    await expectInterrupted(fourth);
    await expectRefused();

    const last = await runCli(['migrate', from, redis.url]);
    expectDone(last);
    expect(last.stdout).not.toContain('Stop the old server');
    expect(copied(last)).toEqual([0, expect.any(Number)]);
    await expectSame();
    await (await startServer({ DATABASE_URL: redis.url })).end('SIGTERM');
  });

  test('copies every acknowledged write of a server that was killed with -9', async () => {
    const server = await startServer({ DATABASE_URL: from });
    const load = new Load(server.port);
    const migrate = new Cli(['migrate', from, redis.url]);
    await migrate.waitFor(FOLLOWING);
    while (load.writes < 200) await pause(10);
    await server.end('SIGKILL');
    await load.stop().catch(() => undefined);
    expectDone(await migrate.ended);
    // Not the source: LMDB shows its last commit to no open reader if the kill came just before that was acknowledged.
    const isKnown = ({ key }: Kept) => !load.pending.has(key);
    const found = (await contentOf(redis.url)).filter(isKnown);
    expect(linesOf(found)).toEqual(linesOf(load.entries().filter(isKnown)));
  });

  longTest('does not end while a server comes back to the source', async () => {
    await fill(from, textEntries(10));
    const server = await startServer({ DATABASE_URL: from });
    const migrate = new Cli(['migrate', from, redis.url]);
    await migrate.waitFor(FOLLOWING);
    await server.end('SIGTERM');
    await migrate.waitFor(STOPPED);
    migrate.signal('SIGSTOP');
    const again = await startServer({ DATABASE_URL: from });
    migrate.signal('SIGCONT');
    await migrate.waitFor(/The old server has stopped[^]*Stop the old server to switch\./);
    await put(again.port, 'late', 'x');
    await put(again.port, 'key/0000003', 'changed');
    await ask(again.port, pathOf('key/0000004'), { method: 'DELETE' });
    await again.end('SIGTERM');
    const ended = await migrate.ended;
    expectDone(ended);
    expect(ended.stdout.split(STOPPED)).toHaveLength(3);
    await expectSame();
  });

  longTest(
    'compares everything again when the change log has dropped changes that it had not read',
    async () => {
      await fill(from, textEntries(100));
      const server = await startServer({ DATABASE_URL: from, WATCH_LOG_BYTES: `${64 * 1024}` });
      const migrate = new Cli(['migrate', from, redis.url]);
      await migrate.waitFor(FOLLOWING);
      migrate.signal('SIGSTOP');
      const lines = textEntries(MORE_THAN_THE_LOG_HAS, 200).map(({ key, value }) =>
        JSON.stringify({ key: `late/${key}`, type: 'text/plain', value: value.toString() }),
      );
      const body = [...lines, ''].join('\n');
      await ask(server.port, '/kv', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/x-ndjson' },
      });
      await ask(server.port, pathOf('key/0000003'), { method: 'DELETE' });
      migrate.signal('SIGCONT');
      await migrate.waitFor('The change log has moved past the copy, so the two are compared again.');
      await server.end('SIGTERM');
      expectDone(await migrate.ended);
      await expectSame();
    },
  );

  longTest('waits for a target that is unavailable for a moment', async () => {
    await fill(from, textEntries(MANY));
    const server = await startServer({ DATABASE_URL: from });
    const load = new Load(server.port);
    const migrate = new Cli(['migrate', from, redis.url]);
    await migrate.waitFor('Copying');
    await redis.kill();
    await migrate.waitFor('A database does not answer; trying again for 60 s.');
    await redis.restart();
    await migrate.waitFor(FOLLOWING);
    await redis.restart();
    await load.stop();
    await server.end('SIGTERM');
    expectDone(await migrate.ended);
    await expectSame();
  });
});
