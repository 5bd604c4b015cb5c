import { beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { rightsFor } from '../../../src/storage/redis/rights.js';
import { runCli } from '../../support/cli.js';
import { EventStream } from '../../support/events.js';
import { ask } from '../../support/http.js';
import { batch, MERGE_PATCH, pageOf, pathOf, put, type Item } from '../../support/kv.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer } from '../../support/server.js';
import { newLmdb, VERIFIED, within } from '../migration/migrate.cases.js';

const LOGIN = 'pigeonhole:password';
const README = readFileSync('README.md', 'utf8');
/** The command of the README, as redis-cli takes it. */
const [, COMMAND] = /redis-cli (ACL SETUSER pigeonhole[^`]*)/.exec(README)!;
const WORDS = COMMAND!
  .replaceAll(/\\\n|'/g, ' ')
  .trim()
  .split(/\s+/);
const RIGHTS = WORDS.slice(WORDS.indexOf('>password') + 1);
const OF_CLUSTERS = ['+asking', '+cluster|slots'];

test('the README has the rights that the server asks for', () => {
  expect(RIGHTS.join(' ')).toBe(rightsFor(false));
  expect(README).toContain('`+asking +cluster|slots`');
  expect([...RIGHTS, ...OF_CLUSTERS].toSorted()).toEqual(rightsFor(true).split(' ').toSorted());
});

describeOnRedis('a user with the rights of the README', (binary) => {
  let redis: RedisServer;
  let cluster: RedisCluster;
  let addresses: Record<string, string>;

  beforeAll(async () => {
    redis = await startRedis({ binary });
    cluster = await startCluster({ binary });
    await redis.cli(...WORDS);
    await Promise.all(cluster.nodes.map((node) => node.cli(...WORDS, ...OF_CLUSTERS)));
    const seeds = cluster.nodes.map(({ address }) => address).join(',');
    addresses = {
      'one server': `redis://${LOGIN}@${redis.address}/3`,
      'a cluster': `redis+cluster://${LOGIN}@${seeds}`,
    };
  });

  test.each([
    ['one server', {}],
    ['a cluster', { WAIT_REPLICAS: '1' }],
  ])('serves everything, and moves: %s', async (kind, settings) => {
    const DATABASE_URL = addresses[kind]!;
    const server = await startServer({ DATABASE_URL, ...settings });
    const { port } = server;
    const stream = await EventStream.open(port, '/kv?prefix=');
    await put(port, 'a', '{"n":1}');
    await ask(port, `${pathOf('brief')}?ttl=1s`, { method: 'PUT', body: 'x' });
    const json = { headers: { 'Content-Type': 'application/json' }, method: 'PUT', body: '{"n":1}' };
    expect((await ask(port, pathOf('doc'), json)).status).toBe(201);
    const patch = { headers: MERGE_PATCH, method: 'PATCH', body: '{"m":2}' };
    expect((await ask(port, pathOf('doc'), patch)).text).toBe('{"n":1,"m":2}');
    expect((await ask(port, `${pathOf('n')}?incr=5`, { method: 'PATCH' })).text).toBe('5');
    expect((await ask(port, `${pathOf('n')}?ttl=1h`, { method: 'PATCH' })).status).toBe(200);
    expect((await ask(port, pathOf('a'), { method: 'DELETE' })).status).toBe(204);
    const tied = ['{t}1', '{t}2'].map((key) => ({ op: 'put', key, value: 'x' }));
    expect((await batch(port, tied)).status).toBe(200);
    await stream.until(({ event, data }) => event === 'expire' && data.includes('"brief"'));
    stream.close();
    const keys = ['doc', 'n', '{t}1', '{t}2'];
    for (const query of ['?prefix=&count=true&values=true', '?prefix=&reverse=true']) {
      const { items } = await pageOf(port, query);
      expect(items.map(({ key }: Item) => key).toSorted()).toEqual(keys);
    }
    expect((await ask(port, '/')).status).toBe(200);
    await server.end('SIGTERM');
    expect(server.output().stderr).toBe('');

    const folder = newLmdb();
    const out = await runCli(['migrate', DATABASE_URL, folder]);
    expect({ code: out.code, stdout: out.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(VERIFIED),
    });
    for (const node of kind === 'a cluster' ? cluster.nodes.slice(0, 3) : [redis]) await node.flush();
    const back = await runCli(['migrate', folder, DATABASE_URL]);
    expect({ code: back.code, stdout: back.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(VERIFIED),
    });
  });

  test.each([
    ['one server', RIGHTS],
    ['a cluster', [...RIGHTS, ...OF_CLUSTERS]],
  ])('needs every one of them, and is told which it lacks: %s', async (kind, rights) => {
    const nodes = kind === 'a cluster' ? cluster.nodes : [redis];
    const user = ['ACL', 'SETUSER', 'bob', 'reset', 'on', '>password'];
    for (const right of rights) {
      const others = rights.filter((each) => each !== right);
      await Promise.all(nodes.map((node) => node.cli(...user, ...others)));
      const url = addresses[kind]!.replace('pigeonhole:', 'bob:');
      const name = right.slice(1);
      // What is asked before anything else is named in the words of Redis, or of the start.
      const names = [`lacks ${right}.`, `'${name}' command`, name.replace('|', ' ').toUpperCase()];
      const opened = within(url, async () => 'It started.').catch((error: Error) => error.message);
      const said = await opened;
      expect({ right, said, isNamed: names.some((each) => said.includes(each)) }).toEqual({
        right,
        said: expect.stringMatching(/cannot be used|is not allowed/),
        isNamed: true,
      });
    }
  });
});
