import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIGRATION } from '../../../src/storage/system-keyspace.js';
import { runCli } from '../../support/cli.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { requireProgram } from '../../support/requires.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { run } from '../../support/built.js';
import { contentOf, fill, newLmdb, textEntries, VERIFIED, within } from './migrate.cases.js';

const PASSWORD = 'p4ss/w@rd:secret';

/** The one line with which a migration is refused. */
async function refusal(from: string, to: string, cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await runCli(['migrate', from, to], {}, cwd);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const lines = stderr.split('\n').filter((line) => !/appendfsync|no replica/.test(line));
  expect(lines).toEqual([expect.stringMatching(/^pigeonhole: /), '']);
  expect(stderr).not.toContain('DATABASE_URL');
  return lines[0]!;
}

function folderOf(url: string): string {
  return url.slice('lmdb:'.length);
}

async function filled(): Promise<string> {
  const url = newLmdb();
  await fill(url, textEntries(3));
  return url;
}

describe('a migration is refused, and changes nothing,', () => {
  test.each([
    ['mysql://x', 'lmdb:b', '<from> must be one of lmdb:<folder>'],
    ['lmdb:', 'lmdb:b', '<from> must be one of lmdb:<folder>'],
    ['memory:', 'lmdb:b', '<from>: a memory: database is of its own process only.'],
    ['lmdb:none', 'lmdb:b', '<from>: the folder '],
    ['redis://127.0.0.1:1', 'lmdb:b', '<from>: Redis at 127.0.0.1:1 cannot be used: '],
    ['redis+cluster://127.0.0.1:1', 'lmdb:b', '<from>: Redis at 127.0.0.1:1 cannot be used: '],
    ['lmdb:a', 'lmdb:a', 'The two databases are the same one.'],
    ['lmdb:a', 'lmdb:./b/../a/', 'The two databases are the same one.'],
  ])('from %s to %s', async (from, to, words) => {
    const folder = temporaryFolder();
    expect(await refusal(from, to, folder)).toContain(words);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ['mysql://x', '<to> must be one of lmdb:<folder>'],
    ['memory:', '<to>: a memory: database is of its own process only.'],
    ['redis://127.0.0.1:1', '<to>: Redis at 127.0.0.1:1 cannot be used: '],
  ])('to %s', async (to, words) => {
    expect(await refusal(await filled(), to)).toContain(words);
  });

  test('from a folder without a database', async () => {
    const from = newLmdb();
    expect(await refusal(from, newLmdb())).toContain(
      `<from>: the folder ${folderOf(from)} holds no Pigeonhole database.`,
    );
    expect(readdirSync(folderOf(from))).toEqual([]);
  });

  test('to a folder with other files', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'letter.txt'), 'dear');
    expect(await refusal(await filled(), `lmdb:${folder}`)).toContain(
      `<to>: the folder ${folder} is not empty`,
    );
    expect(readdirSync(folder)).toEqual(['letter.txt']);
  });

  test('to a database that has entries', async () => {
    const to = await filled();
    expect(await refusal(await filled(), to)).toContain('The target holds 3 entries. Name an empty one');
    expect(await contentOf(to)).toHaveLength(3);
    await (await startServer({ DATABASE_URL: to })).end();
  });

  test('to the same folder by another name', async () => {
    const from = await filled();
    const link = join(temporaryFolder(), 'link');
    symlinkSync(folderOf(from), link);
    expect(await refusal(from, `lmdb:${link}`)).toContain('The two databases are the same one.');
  });

  test('to a database that another server has open, and does not disturb it', async () => {
    const to = newLmdb();
    const server = await startServer({ DATABASE_URL: to });
    expect(await refusal(await filled(), to)).toMatch(/<to>: the folder .* is in use by process [0-9]+/);
    await server.end('SIGTERM');
    await (await startServer({ DATABASE_URL: to })).end();
  });

  test('to the target of another migration that is unfinished, and from it', async () => {
    const to = newLmdb();
    const mark = (engine: Parameters<Parameters<typeof within>[1]>[0]) =>
      engine.system.put(MIGRATION, Buffer.from('lmdb:/elsewhere'));
    await within(to, mark);
    expect(await refusal(await filled(), to)).toContain(
      'The target belongs to an unfinished migration from lmdb:/elsewhere. Finish that one, or name another target.',
    );
    expect(await refusal(to, newLmdb())).toContain(
      'The source is the target of an unfinished migration from lmdb:/elsewhere.',
    );
  });

  test('from a damaged record, which it names; the target stays refused', async () => {
    const from = await filled();
    await within(from, async (engine) => {
      const { store } = engine as unknown as {
        store: { entries: { put(key: string, value: Buffer): Promise<boolean> } };
      };
      await store.entries.put('key/0000001', Buffer.alloc(60));
    });
    const to = newLmdb();
    const { code, stderr } = await runCli(['migrate', from, to]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^pigeonhole: .*`key\/0000001` fails its checksum.*not finished.*\n$/),
    });
    expect(await within(to, async (engine) => (await engine.system.get(MIGRATION))?.toString())).toBe(from);
  });
});

describeOnRedis('in Redis', (binary) => {
  let redis: RedisServer;
  let locked: RedisServer;
  let cluster: RedisCluster;

  beforeAll(async () => {
    [redis, locked, cluster] = await Promise.all([
      startRedis({ binary }),
      startRedis({ binary, auth: { username: 'ada', password: PASSWORD } }),
      startCluster({ binary, replicas: 0 }),
    ]);
  });
  beforeEach(() => Promise.all([redis, ...cluster.nodes].map((node) => node.flush())));

  test('a source without a database is refused', async () => {
    expect(await refusal(redis.url, newLmdb())).toContain(`<from>: ${REDIS_PROGRAM.product} at`);
    expect(await refusal(redis.url, newLmdb())).toContain('holds no Pigeonhole database');
  });

  test('a target with keys of another program is refused', async () => {
    await redis.cli('SET', 'theirs', '1');
    expect(await refusal(await filled(), redis.url)).toMatch(/<to>: .* holds keys that are not Pigeonhole's/);
    expect(await redis.cli('KEYS', '*')).toBe('theirs');
  });

  test('a cluster by the URL of a server, and a server by that of a cluster, is refused', async () => {
    const from = await filled();
    expect(await refusal(from, cluster.nodes[0]!.url)).toContain('<to> must be redis+cluster://');
    expect(await refusal(from, redis.url.replace('redis:', 'redis+cluster:'))).toContain(
      '<to> must be redis://',
    );
  });

  test.each([
    ['a server', () => redis.url, () => redis.url.replace('127.0.0.1', 'localhost') + '/0'],
    ['a cluster', () => cluster.url, () => `redis+cluster://${cluster.nodes[1]!.address}`],
  ])('the same database of %s by another URL is refused, and stays usable', async (_kind, one, another) => {
    await within(one(), async () => undefined);
    expect(await refusal(one(), another())).toContain('The two databases are the same one.');
    await (await startServer({ DATABASE_URL: one() })).end();
  });

  test('a password is never shown', async () => {
    const withPassword = `redis://ada:${encodeURIComponent(PASSWORD)}@127.0.0.1:${locked.port}`;
    expect(withPassword).toBe(locked.url);
    const wrong = withPassword.replace('%3Asecret', '%3Awrong');
    const from = await filled();
    const refused = await refusal(from, wrong);
    expect(refused).toContain('WRONGPASS');
    const there = await runCli(['migrate', from, withPassword]);
    const back = await runCli(['migrate', withPassword, newLmdb()]);
    for (const { code, stdout } of [there, back]) {
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(VERIFIED) });
    }
    expect(there.stdout).toContain(`DATABASE_URL=redis://ada:***@127.0.0.1:${locked.port}`);
    for (const text of [refused, ...[there, back].flatMap(({ stdout, stderr }) => [stdout, stderr])]) {
      for (const form of [PASSWORD, encodeURIComponent(PASSWORD), 'secret', '%3Awrong'])
        expect(text).not.toContain(form);
    }
  });
});

describe('progress', () => {
  test('is not shown where the output goes to a file', async () => {
    const { code, stdout, stderr } = await runCli(['migrate', await filled(), newLmdb()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replace(/[0-9.]+ s\./, 't s.').replace(/[0-9a-f]{64}/, 'h')).toMatch(
      /^Copying 3 entries\.\nCopied 3 of 3 entries in t s\.\nThe old database takes no more writes\.\nVerified: 3 entries on both sides, 0 differences, sha256 h\.\nDone\. Start the server with DATABASE_URL=lmdb:\S+\n$/,
    );
  });

  requireProgram('script').describe('on a terminal', () => {
    test('is shown as a bar, which is removed in the end', async () => {
      const from = newLmdb();
      await fill(from, textEntries(20_000));
      const command = `${process.execPath} dist/cli/pigeonhole.js migrate ${from} ${newLmdb()}`;
      const { status, stdout } = await run(['script', '-qec', command, '/dev/null']);
      expect(status).toBe(0);
      expect(stdout).toMatch(/\rCopying █*░* \d+ % {2}[\d,]+ of 20,000, [\d,]+\/s /);
      for (const line of stdout.split('\r\n'))
        expect(line.slice(line.lastIndexOf('\x1b[K') + 3)).not.toContain('░');
    });
  });
});
