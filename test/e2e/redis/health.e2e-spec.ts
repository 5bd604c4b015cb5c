import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { slotOf } from '../../../src/storage/redis/cluster-client/slots.js';
import { eventually } from '../../support/eventually.js';
import { ask, type Answer } from '../../support/http.js';
import { put } from '../../support/kv.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis } from '../../support/redis.js';
import { startInProcess, type Target } from '../../support/target.js';

const SLOTS = 16_384;
/** The rights of the server's user while it has them all. */
const ALL = ['on', 'nopass', '~*', '&*', '+@all'];

interface Ready {
  readonly status: string;
  readonly error: { readonly database?: { readonly notes: readonly string[] } };
}

/** A key in the middle of the slots of the n-th of three primaries. */
function keyOf(primary: number): string {
  for (let i = 0; ; i++) {
    const share = (slotOf(`key${i}`) / SLOTS) * 3 - primary;
    if (share > 0.2 && share < 0.8) return `key${i}`;
  }
}

const [HEALTHY, SICK] = [keyOf(0), keyOf(1)];

describeOnRedis('/health/ready of a server on a cluster', (binary) => {
  let cluster: RedisCluster;
  let sick: RedisServer;
  let target: Target;

  beforeAll(async () => {
    const args = ['--cluster-require-full-coverage', 'no'];
    cluster = await startCluster({ binary, replicas: 0, args });
    sick = cluster.nodes[1]!;
    for (const node of cluster.nodes) await node.cli('ACL', 'SETUSER', 'pigeonhole', ...ALL);
    target = await startInProcess({ DATABASE_URL: cluster.url.replace('://', '://pigeonhole:any@') });
    for (const key of [HEALTHY, SICK]) await put(target.port, key, 'x');
  });
  afterAll(() => target.close());

  const ready = (): Promise<Answer> => ask(target.port, '/health/ready');

  /** Breaks something, waits until the server is not ready and says `why`, and mends it whatever comes of that. */
  async function whileBroken(
    fail: () => Promise<unknown>,
    why: string,
    check: () => Promise<void>,
    heal: () => Promise<unknown>,
  ): Promise<void> {
    await fail();
    try {
      let answer!: Answer;
      await eventually(async () => (answer = await ready()).status === 503, 'not ready');
      const { status, error } = JSON.parse(answer.text) as Ready;
      expect({ status, notes: error.database?.notes }).toEqual({
        status: 'error',
        notes: expect.arrayContaining([expect.stringContaining(why)]),
      });
      expect((await ask(target.port, '/health/live')).status).toBe(200);
      expect((await put(target.port, HEALTHY, 'y')).status).toBe(200);
      await check();
    } finally {
      await heal();
    }
    await eventually(async () => (await ready()).status === 200, 'ready again');
  }

  const allow = () => sick.cli('ACL', 'SETUSER', 'pigeonhole', ...ALL);
  const config = (name: string, value: string) => () => sick.cli('CONFIG', 'SET', name, value);
  const putIs = (status: number) => async () =>
    expect((await put(target.port, SICK, 'y')).status).toBe(status);

  test('says which of the servers is gone, while the keys of others are served', () =>
    whileBroken(
      () => sick.kill(),
      `${sick.address} does not answer`,
      putIs(503),
      () => sick.restart().then(allow),
    ));

  test('says where the memory is full', () =>
    whileBroken(
      config('maxmemory', '1'),
      `${sick.address}: its memory is full`,
      putIs(507),
      config('maxmemory', '0'),
    ));

  test('says where its user lacks rights', () =>
    whileBroken(
      () => sick.cli('ACL', 'SETUSER', 'pigeonhole', '-hset'),
      `${sick.address}: its user lacks +hset.`,
      putIs(503),
      allow,
    ));

  test('says which server only reads, because its replicas are missing', () =>
    whileBroken(
      config('min-replicas-to-write', '1'),
      `${sick.address}: min-replicas-to-write is 1, and 0 are in time`,
      async () => expect((await ask(target.port, `/get?key=${SICK}`)).status).toBe(200),
      config('min-replicas-to-write', '0'),
    ));
});
