import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { TEXT } from '../../../src/storage/entry.js';
import { Cli } from '../../support/cli.js';
import { ask } from '../../support/http.js';
import { put } from '../../support/kv.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer } from '../../support/server.js';
import {
  contentOf,
  FOLLOWING,
  Load,
  newLmdb,
  STOPPED,
  VERIFIED,
  fill,
  linesOf,
  oneOfEachKind,
  textEntries,
  within,
} from './migrate.cases.js';
import { shortOrLong } from '../../support/long-run.js';

describeOnRedis('pigeonhole migrate', (binary) => {
  let redis: RedisServer;
  let other: RedisServer;
  let cluster: RedisCluster;

  beforeAll(async () => {
    [redis, other, cluster] = await Promise.all([
      startRedis({ binary }),
      startRedis({ binary }),
      startCluster({ binary, replicas: 0 }),
    ]);
  });
  beforeEach(() => Promise.all([redis, other, ...cluster.nodes].map((node) => node.flush())));

  describe('copies everything, under load,', () => {
    const all: readonly (readonly [string, string, () => string, () => string])[] = [
      ['LMDB', 'a cluster', newLmdb, () => cluster.url],
      ['Redis', 'LMDB', () => redis.url, newLmdb],
      ['LMDB', 'Redis', newLmdb, () => redis.url],
      ['a cluster', 'LMDB', () => cluster.url, newLmdb],
      ['a cluster', 'Redis', () => cluster.url, () => redis.url],
      ['Redis', 'another database of the same Redis', () => `${redis.url}/1`, () => `${redis.url}/2`],
    ];
    test.each(shortOrLong(all.slice(0, 2), all))('from %s to %s', async (_from, _to, fromUrl, toUrl) => {
      const [from, to] = [fromUrl(), toUrl()];
      const kinds = oneOfEachKind();
      await fill(from, [...kinds, ...textEntries(3000)]);
      const server = await startServer({ DATABASE_URL: from });
      const load = new Load(server.port);
      const migrate = new Cli(['migrate', from, to]);
      await migrate.waitFor(FOLLOWING);
      const before = load.writes;
      while (load.writes < before + 200) await pause(10);
      await load.stop();
      // The last write expires while the two databases are compared.
      await put(server.port, 'last', 'x');
      await ask(server.port, '/kv/brief?ttl=1s', { method: 'PUT', body: 'x' });
      await server.end('SIGTERM');
      const { code, stdout, stderr } = await migrate.ended;
      expect({ code, stderr: stderr.replace(/^.*(appendfsync|no replica).*\n/gm, '') }).toEqual({
        code: 0,
        stderr: '',
      });
      expect(stdout).toMatch(VERIFIED);
      expect(stdout).toContain(STOPPED);
      expect(stdout).toContain(`Done. Start the server with DATABASE_URL=${to}\n`);
      const last = { key: 'last', type: TEXT, expires: 0, value: Buffer.from('x') };
      const expected = [...kinds, ...textEntries(3000), ...load.entries(), last];
      const found = (await contentOf(to)).filter(({ key }) => key !== 'brief');
      expect(linesOf(found)).toEqual(linesOf(expected));
      expect(load.state.size).toBeGreaterThan(100);
    });
  });
});

test('an LMDB store can be opened at any moment while another process makes it grow', async () => {
  const from = newLmdb();
  const server = await startServer({ DATABASE_URL: from });
  let growing = true;
  const grow = async () => {
    for (let i = 0; growing; i++) await put(server.port, `${i}`, 'v'.repeat(20_000));
  };
  const writers = Promise.all([grow(), grow(), grow(), grow()]);
  try {
    for (let i = 0; i < 300; i++) await within(from, async (engine) => engine.get('1'), { readOnly: true });
  } finally {
    growing = false;
    await writers;
    await server.end();
  }
});
