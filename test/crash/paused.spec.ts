import { beforeAll, expect, test } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Awaitable } from '../../src/storage/storage-engine.js';
import { contentOf, fill, newLmdb, textEntries, VERIFIED } from '../e2e/migration/migrate.cases.js';
import { REDIS_PROGRAM } from '../support/redis-program.js';
import { Cli, runCli } from '../support/cli.js';
import { eventually, HANG_MS } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { pathOf, put } from '../support/kv.js';
import { longTest, rounds } from '../support/long-run.js';
import { compilePreload } from '../support/machine.js';
import { Random } from '../support/random.js';
import type { RedisServer } from '../support/redis-server.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { testWhere } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const ROUNDS = rounds(1);
const WRITERS = 8;
const ENTRIES = 5_000;
/** Writes that the woken server must have refused, or worse, before a round is over. */
const LATE_WRITES = 200;
const HELD_UP = 'The old database is held up, perhaps by a process that is paused in the middle of a write.';

/** Writers of keys that are written once, on one server whatever happens to it. */
class LateWriters {
  readonly acknowledged = new Set<string>();
  readonly statuses = new Map<number, number>();
  private over = false;
  private readonly done: Promise<unknown>;

  constructor(port: number) {
    this.done = Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.write(port, writer)));
  }

  countOf(status: number): number {
    return this.statuses.get(status) ?? 0;
  }

  async stop(): Promise<void> {
    this.over = true;
    await this.done;
  }

  private async write(port: number, writer: number): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; !this.over; i++) {
      const key = `w/${writer}/${i}`;
      const { status } = await ask(port, pathOf(key), { method: 'PUT', body: key, agent });
      if (status === 201) this.acknowledged.add(key);
      this.statuses.set(status, this.countOf(status) + 1);
    }
    agent.destroy();
  }
}

interface Round {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  /** Whether it was stopped in a commit. */
  readonly heldUp: boolean;
  readonly lost: string[];
}

/**
 * Moves a database away while its server is stopped by a signal in the middle of writes, and lets that go on afterwards, or
 * before if it holds the migration up. With `cut` it looks gone; without, the migration does not wait for it to stop.
 */
async function round(
  from: string,
  to: string,
  random: Random,
  cut: (() => Promise<unknown>) | undefined,
): Promise<Round> {
  await fill(from, textEntries(ENTRIES));
  const server: ServerProcess = await startServer({ DATABASE_URL: from });
  const writers = new LateWriters(server.port);
  await eventually(() => writers.countOf(201) > 100, 'writes');
  const stop = async () => {
    await pause(random.below(20));
    process.kill(server.pid, 'SIGSTOP');
    await cut?.();
  };
  const migrate = cut
    ? await stop().then(() => new Cli(['migrate', from, to]))
    : await switching(from, to, stop);
  const ended = migrate.ended.then(() => undefined);
  await Promise.race([ended, migrate.waitFor(HELD_UP).catch(() => undefined)]);
  process.kill(server.pid, 'SIGCONT');
  const { code, stdout } = await migrate.ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(VERIFIED) });
  await eventually(() => writers.countOf(503) > LATE_WRITES, 'refusals');
  await writers.stop();
  const found = new Set((await contentOf(to)).map(({ key }) => key));
  const lost = [...writers.acknowledged].filter((key) => !found.has(key));
  await server.end('SIGTERM');
  const [refused, unknown] = [writers.countOf(503), writers.countOf(504)];
  const heldUp = stdout.includes(HELD_UP);
  return { acknowledged: writers.acknowledged.size, refused, unknown, heldUp, lost };
}

/** Starts a migration that waits for no server, and does `work` while it copies: a paused owner lets no process in. */
async function switching(from: string, to: string, work: () => Promise<unknown>): Promise<Cli> {
  const migrate = new Cli(['migrate', '--switch', from, to]);
  await migrate.waitFor('Copying');
  migrate.signal('SIGSTOP');
  await work();
  migrate.signal('SIGCONT');
  return migrate;
}

async function run(
  name: string,
  from: () => Awaitable<string>,
  to: () => Awaitable<string>,
  cut?: () => Promise<unknown>,
): Promise<void> {
  const random = new Random(7);
  const results: Round[] = [];
  for (let i = 0; i < ROUNDS; i++) results.push(await round(await from(), await to(), random, cut));
  const sum = (of: (each: Round) => number) => results.reduce((total, each) => total + of(each), 0);
  process.stdout.write(
    `paused server, ${name}${name.includes('Redis') ? `, ${REDIS_PROGRAM.name}` : ''}: ${ROUNDS} rounds, ${sum((each) => Number(each.heldUp))} stopped in a commit, ` +
      `${sum((each) => each.acknowledged)} acknowledged, ` +
      `${sum((each) => each.refused)} refused, ${sum((each) => each.unknown)} unknown, ` +
      `${sum((each) => each.lost.length)} lost\n`,
  );
  expect(results.flatMap(({ lost }) => lost)).toEqual([]);
}

test(
  'a server that is paused while its database moves from LMDB to LMDB acknowledges nothing that is not there',
  () => run('LMDB to LMDB', newLmdb, newLmdb),
  (1 + ROUNDS) * HANG_MS,
);

describeOnRedis('a server that is paused while its database moves', (binary) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ binary });
  });

  async function cutConnections(): Promise<void> {
    for (const type of ['normal', 'pubsub']) await redis.cli('CLIENT', 'KILL', 'TYPE', type);
  }

  async function emptyRedis(): Promise<string> {
    await redis.flush();
    return redis.url;
  }

  test(
    'from Redis to LMDB, its connections cut, acknowledges nothing that is not there',
    () => run('Redis to LMDB', emptyRedis, newLmdb, cutConnections),
    (1 + ROUNDS) * HANG_MS,
  );

  test(
    'from LMDB to Redis acknowledges nothing that is not there',
    () => run('LMDB to Redis', newLmdb, emptyRedis),
    (1 + ROUNDS) * HANG_MS,
  );
});

const shim = compilePreload('failing-disk', temporaryFolder());
const title = 'a migration waits for a server that is paused in the middle of a commit';
const testOnShim = testWhere(shim !== undefined, 'there is no gcc to make a disk that hangs');

/** A server whose disk hangs as soon as `flag` is there. */
async function startOnHangingDisk(from: string): Promise<{ server: ServerProcess; flag: string }> {
  const flag = join(temporaryFolder(), 'flag');
  const disk = { LD_PRELOAD: shim!, FAIL_FLAG: flag, FAIL_CALLS: 'hang' };
  const server = await startServer({ DATABASE_URL: from, ...disk });
  await put(server.port, 'first', 'x');
  return { server, flag };
}

/** Stops a server while it has LMDB's write lock. Returns the status of the write, 0 if it has none. */
async function stopInCommit(server: ServerProcess, flag: string): Promise<{ status: Promise<number> }> {
  writeFileSync(flag, '');
  const status = ask(server.port, pathOf('in the commit'), { method: 'PUT', body: 'x' }).then(
    (answer) => answer.status,
    () => 0,
  );
  await pause(500);
  process.kill(server.pid, 'SIGSTOP');
  return { status };
}

testOnShim(
  title,
  async () => {
    const [from, to] = [newLmdb(), newLmdb()];
    await fill(from, textEntries(ENTRIES));
    const { server, flag } = await startOnHangingDisk(from);
    let write!: { status: Promise<number> };
    const migrate = await switching(from, to, async () => (write = await stopInCommit(server, flag)));
    await migrate.waitFor(HELD_UP);
    rmSync(flag);
    process.kill(server.pid, 'SIGCONT');
    const status = await write.status;
    const { code, stdout } = await migrate.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(VERIFIED) });
    const found = (await contentOf(to)).map(({ key }) => key);
    if (status === 201) expect(found).toContain('in the commit');
    else expect(status).toBe(504);
    await eventually(async () => (await ask(server.port, pathOf('first'))).status === 503, 'a refusal');
    expect((await ask(server.port, pathOf('late'), { method: 'PUT', body: 'x' })).status).toBe(503);
    await server.end('SIGKILL');
  },
  2 * HANG_MS,
);

longTest(
  'a migration gives up on a server that stays paused in the middle of a commit, and can be started again',
  async () => {
    const [from, to] = [newLmdb(), newLmdb()];
    await fill(from, textEntries(ENTRIES));
    const { server, flag } = await startOnHangingDisk(from);
    const migrate = await switching(from, to, () => stopInCommit(server, flag));
    const { code, stdout, stderr } = await migrate.ended;
    expect(code).not.toBe(0);
    expect(stdout).toContain(HELD_UP);
    expect(stderr).toContain('neither the disk nor whoever has its write lock has answered for 30 s');
    await server.end('SIGKILL');
    const again = await runCli(['migrate', from, to]);
    expect({ code: again.code, stdout: again.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(VERIFIED),
    });
  },
  3 * HANG_MS,
);
