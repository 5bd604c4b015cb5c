import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { TEXT } from '../../../src/storage/entry.js';
import { Cli, runCli } from '../../support/cli.js';
import { EventStream } from '../../support/events.js';
import { eventually } from '../../support/eventually.js';
import { ask, getPath, setPath, type Answer } from '../../support/http.js';
import { NDJSON, pathOf, put } from '../../support/kv.js';
import { longDescribe } from '../../support/long-run.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { runToEnd, startServer } from '../../support/server.js';
import { startWorkers } from '../../support/workers.js';
import {
  contentOf,
  fill,
  FOLLOWING,
  linesOf,
  newLmdb,
  textEntries,
  within,
  type Kept,
} from './migrate.cases.js';

const FENCED = 'The old database takes no more writes.';

/** Requests of every kind that reads or writes data. */
const REQUESTS: readonly (readonly [path: string, method?: string, body?: string])[] = [
  ['/'],
  [getPath('key/0000001')],
  [setPath('a', 'x')],
  [pathOf('key/0000001')],
  [pathOf('key/0000001'), 'HEAD'],
  [pathOf('a'), 'PUT', 'x'],
  [`${pathOf('n')}?incr=1`, 'PATCH'],
  [pathOf('a'), 'DELETE'],
  ['/kv?prefix='],
  ['/kv?prefix=key/', 'DELETE'],
  ['/kv', 'POST', '{"key":"a","value":"x","type":"text/plain"}\n'],
  ['/batch', 'POST', '{"ops":[{"op":"get","key":"a"}]}'],
];

function text(key: string, value: string): Kept {
  return { key, type: TEXT, expires: 0, value: Buffer.from(value) };
}

async function migrate(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['migrate', ...args]);
  const notes = stderr.replace(/^.*(appendfsync|no replica).*\n/gm, '');
  expect({ code, stderr: notes }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function expectRefusedStart(url: string, place: string): Promise<void> {
  const { code, stdout, stderr } = await runToEnd({ DATABASE_URL: url, PORT: '0' });
  const lines = stderr.split('\n').filter((line) => !/appendfsync|no replica/.test(line));
  expect({ code, lines }).toEqual({
    code: 1,
    lines: [
      expect.stringContaining(`pigeonhole: The database has moved to ${place}. Start the server there`),
      '',
    ],
  });
  expect(stdout).not.toContain('Listening');
}

async function expectMoved(answer: Answer, place: string): Promise<void> {
  expect({ status: answer.status, retry: answer.headers['retry-after'] }).toEqual({
    status: 503,
    retry: '1',
  });
  if (answer.text !== '')
    expect(answer.text).toContain(`The database has moved to ${place}. Nothing was applied`);
}

async function expectSame(a: string, b: string): Promise<void> {
  expect(linesOf(await contentOf(a))).toEqual(linesOf(await contentOf(b)));
}

/** Rules of a database that was left, whatever engines it moves between. */
function fenceTests(from: () => string, to: () => string): void {
  let [old, new_] = ['', ''];

  beforeEach(async () => {
    [old, new_] = [from(), to()];
    await fill(old, textEntries(30));
  });

  test('its server refuses every request with where it went, and no server starts on it', async () => {
    const server = await startServer({ DATABASE_URL: old });
    const { port } = server;
    const stream = await EventStream.live(port, '/kv?prefix=');
    const stdout = await migrate('--switch', old, new_);
    expect(stdout).toContain(FENCED);
    await stream.ended;
    for (const [path, method, body] of REQUESTS) {
      const headers =
        path === '/kv' ? NDJSON : path === '/batch' ? { 'Content-Type': 'application/json' } : {};
      await expectMoved(
        await ask(port, path, { ...(method && { method }), ...(body && { body }), headers }),
        new_,
      );
    }
    for (const path of ['/problems/moved', '/openapi.json', '/docs'])
      expect((await ask(port, path)).status).toBeLessThan(400);
    await server.end('SIGTERM');
    await expectRefusedStart(old, new_);
    await expectSame(old, new_);
    await (await startServer({ DATABASE_URL: new_ })).end('SIGTERM');
  });

  test('--undo lets it be used again, also by a server that runs', async () => {
    await migrate(old, new_);
    await expectRefusedStart(old, new_);
    expect(await migrate('--undo', old)).toBe(
      `Done. The database may be used again. What was written to ${new_} is not in it.\n`,
    );
    expect(await migrate('--undo', old)).toBe('The database has no fence. Nothing was changed.\n');
    const server = await startServer({ DATABASE_URL: old });
    await put(server.port, 'again', 'x');
    await within(old, (engine) => engine.setFence(new_), { readOnly: true, processes: 2 });
    await eventually(async () => (await ask(server.port, pathOf('again'))).status === 503);
    await migrate('--undo', old);
    await eventually(async () => (await ask(server.port, pathOf('again'))).status === 200);
    await put(server.port, 'again', 'y');
    await server.end('SIGTERM');
  });

  test('a migration back brings it to the state of the new one, and takes its fence away', async () => {
    await migrate(old, new_);
    const server = await startServer({ DATABASE_URL: new_ });
    await put(server.port, 'key/0000003', 'changed');
    await put(server.port, 'only new', 'x');
    await ask(server.port, pathOf('key/0000004'), { method: 'DELETE' });
    await server.end('SIGTERM');
    const stdout = await migrate(new_, old);
    expect(stdout).toContain('The target was left for the source: it is brought to the same state.');
    const expected = textEntries(30)
      .filter(({ key }) => key !== 'key/0000004')
      .map((entry) => (entry.key === 'key/0000003' ? text(entry.key, 'changed') : entry));
    expect(linesOf(await contentOf(old))).toEqual(linesOf([...expected, text('only new', 'x')]));
    await expectRefusedStart(new_, old);
    const back = await startServer({ DATABASE_URL: old });
    await put(back.port, 'a', 'x');
    await back.end('SIGTERM');
    await migrate(old, new_);
    await expectSame(old, new_);
  });

  test('a migration that ends after the fence is started again without a server to wait for, or undone', async () => {
    const server = await startServer({ DATABASE_URL: old });
    const first = new Cli(['migrate', '--switch', old, new_]);
    await first.waitFor(FENCED);
    first.signal('SIGINT');
    const { code, stdout } = await first.ended;
    // It may have been done already.
    if (code === 130)
      expect(stdout).toContain(`Interrupted. Servers refuse the old database until then, or until`);
    else expect(code).toBe(0);
    await expectMoved(await ask(server.port, pathOf('late'), { method: 'PUT', body: 'x' }), new_);
    if (code === 130) {
      const again = await migrate(old, new_);
      expect(again).not.toContain(FOLLOWING);
    }
    await server.end('SIGTERM');
    await expectSame(old, new_);
  });

  test('it can be moved to no other database, and be no target of another one', async () => {
    await migrate(old, new_);
    const third = newLmdb();
    await fill(third, textEntries(1));
    const away = await runCli(['migrate', old, newLmdb()]);
    expect(away).toMatchObject({ code: 1, stdout: '' });
    expect(away.stderr).toContain(`The source has moved to ${new_}. Migrate from there, or`);
    const onto = await runCli(['migrate', third, old]);
    expect(onto).toMatchObject({ code: 1, stdout: '' });
    expect(onto.stderr).toContain(`The target has moved to ${new_}, and comes back only from there`);
    await expectRefusedStart(old, new_);
  });
}

describe('a database that was left', () => {
  longDescribe('from LMDB to LMDB:', () => fenceTests(newLmdb, newLmdb));

  test('is refused by each of several workers, and none of their answered writes is missing', async () => {
    const [old, new_] = [newLmdb(), newLmdb()];
    const server = await startWorkers(2, { DATABASE_URL: old });
    let [answered, over] = [0, false];
    const acknowledged = new Map<string, string>();
    const statuses = new Set<number>();
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; !over; i++) {
        const key = `w/${writer}/${i % 20}`;
        const { status } = await ask(server.port, pathOf(key), { method: 'PUT', body: `${i}`, agent: false });
        statuses.add(status);
        if (status >= 300) continue;
        answered++;
        acknowledged.set(key, `${i}`);
      }
    });
    await eventually(() => answered > 500, 'writes');
    await migrate('--switch', old, new_);
    over = true;
    await Promise.all(writers);
    const entries = [...acknowledged].map(([key, value]) => text(key, value));
    expect(linesOf(await contentOf(new_))).toEqual(linesOf(entries));
    expect(statuses).toEqual(new Set([200, 201, 503]));
    expect((await server.end('SIGTERM')).code).toBe(0);
  });

  test.each([
    [['migrate', 'lmdb:a'], 64, "missing required argument 'to'"],
    [['migrate'], 64, "missing required argument 'from'"],
    [['migrate', '--undo', 'lmdb:a', 'lmdb:b'], 64, '--undo takes one database and no other argument'],
    [['migrate', '--undo', 'lmdb:none'], 1, '<url>: the folder '],
    [['migrate', '--undo', 'memory:'], 1, '<url>: a memory: database is of its own process only.'],
  ])('%j is refused in one line', async (args, expected, words) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({
      code: expected,
      stdout: '',
      lines: 2,
    });
    expect(stderr).toContain(words);
  });
});

describeOnRedis('a database that was left', (binary) => {
  let redis: RedisServer;
  let locked: RedisServer;

  beforeAll(async () => {
    [redis, locked] = await Promise.all([
      startRedis({ binary }),
      startRedis({ binary, auth: { username: 'ada', password: 'geheim%' } }),
    ]);
  });
  beforeEach(() => redis.flush());

  longDescribe('from LMDB to Redis:', () => fenceTests(newLmdb, () => redis.url));
  describe('from Redis to LMDB:', () => fenceTests(() => redis.url, newLmdb));

  test('may be one whose memory is full', async () => {
    const new_ = newLmdb();
    await fill(redis.url, textEntries(30));
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    try {
      await migrate(redis.url, new_);
      await expectRefusedStart(redis.url, new_);
      await migrate('--undo', redis.url);
    } finally {
      await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    }
    await expectSame(redis.url, new_);
  });

  test('is said to be in Redis without user and password', async () => {
    const old = newLmdb();
    await fill(old, textEntries(3));
    const stdout = await migrate(old, locked.url);
    expect(stdout).toContain(`DATABASE_URL=redis://ada:***@${locked.address}`);
    await expectRefusedStart(old, `redis://${locked.address}`);
    expect(await within(old, async (engine) => engine.fence())).toBe(`redis://${locked.address}`);
  });
});
