import { beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { requiredRules } from '../../../src/storage/redis/acl-rules.js';
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
const DOCUMENTATION = readFileSync('docs/redis.md', 'utf8');
/** The documented command, as redis-cli takes it. */
const [, COMMAND] = /redis-cli (ACL SETUSER pigeonhole[^`]*)/.exec(DOCUMENTATION)!;
const WORDS = COMMAND!
  .replaceAll(/\\\n|'/g, ' ')
  .trim()
  .split(/\s+/);
const RULES = WORDS.slice(WORDS.indexOf('>password') + 1);
const CLUSTER_ONLY = ['+asking', '+cluster|slots'];

test('the documentation has the ACL rules that the server needs', () => {
  expect(RULES.join(' ')).toBe(requiredRules(false));
  expect(DOCUMENTATION).toContain('`+asking +cluster|slots`');
  expect([...RULES, ...CLUSTER_ONLY].toSorted()).toEqual(requiredRules(true).split(' ').toSorted());
});

describeOnRedis('a user with the documented ACL rules', (binary) => {
  let redis: RedisServer;
  let cluster: RedisCluster;
  let addresses: Record<string, string>;

  beforeAll(async () => {
    redis = await startRedis({ binary });
    cluster = await startCluster({ binary });
    await redis.cli(...WORDS);
    await Promise.all(cluster.nodes.map((node) => node.cli(...WORDS, ...CLUSTER_ONLY)));
    const seeds = cluster.nodes.map(({ address }) => address).join(',');
    addresses = {
      'one server': `redis://${LOGIN}@${redis.address}/3`,
      'a cluster': `redis+cluster://${LOGIN}@${seeds}`,
    };
  });

  test.each([
    ['one server', {}],
    ['a cluster', { WAIT_REPLICAS: '1' }],
  ])('can serve every kind of request, and migrate: %s', async (kind, settings) => {
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
    ['one server', RULES],
    ['a cluster', [...RULES, ...CLUSTER_ONLY]],
  ])('needs each of them, and the error names the one that is missing: %s', async (kind, rules) => {
    const nodes = kind === 'a cluster' ? cluster.nodes : [redis];
    const user = ['ACL', 'SETUSER', 'bob', 'reset', 'on', '>password'];
    for (const rule of rules) {
      const others = rules.filter((each) => each !== rule);
      await Promise.all(nodes.map((node) => node.cli(...user, ...others)));
      const url = addresses[kind]!.replace('pigeonhole:', 'bob:');
      const name = rule.slice(1);
      // What is needed before the check can run is named in an error of Redis, or of the preflight.
      const names = [`lacks ${rule}.`, `'${name}' command`, name.replace('|', ' ').toUpperCase()];
      const message = await within(url, async () => 'It started.').catch((error: Error) => error.message);
      expect({ rule, message, isNamed: names.some((each) => message.includes(each)) }).toEqual({
        rule,
        message: expect.stringMatching(/cannot be used|is not allowed/),
        isNamed: true,
      });
    }
  });
});
