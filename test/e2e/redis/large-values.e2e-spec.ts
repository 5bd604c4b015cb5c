import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../support/http.js';
import { batch, pageOf, pathOf, put, stored, valueOf } from '../../support/kv.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';

const LARGEST = Buffer.alloc(16 * 2 ** 20, 'large ');
const LARGE = 'x'.repeat(300 * 1024);
const LINKS = [30, 100];
/** Of those that would be answered while a large value is under way; one that waited for it would be the only one. */
const MIN_SMALL = 10;

/** The values that a batch has read, undefined in place of what has none. */
function valuesOf(answer: Answer): (string | undefined)[] {
  expect(answer.status).toBe(200);
  const { results } = JSON.parse(answer.text) as { results: { value?: string }[] };
  return results.map(({ value }) => value);
}

describeOnRedis('a large value', (binary) => {
  let redis: RedisServer;
  let proxy: TcpProxy;
  let server: ServerProcess;
  let port: number;

  beforeAll(async () => {
    redis = await startRedis({ binary });
    proxy = await startTcpProxy(redis.port);
    server = await startServer({ DATABASE_URL: `redis://127.0.0.1:${proxy.port}` });
    ({ port } = server);
  });

  afterAll(() => server.end('SIGTERM'));

  /** Reads and writes small values until `large` is over. Returns how many, and the slowest, milliseconds. */
  async function beside(large: Promise<unknown>): Promise<{ count: number; slowest: number }> {
    let isOver = false;
    const watched = large.finally(() => (isOver = true));
    let [count, slowest] = [0, 0];
    while (!isOver) {
      const begun = performance.now();
      expect((await put(port, 'small', `${count}`)).status).toBeLessThan(300);
      expect(await valueOf(port, 'small')).toBe(`${count}`);
      slowest = Math.max(slowest, performance.now() - begun);
      count++;
    }
    await watched;
    return { count, slowest: Math.round(slowest) };
  }

  test.each(LINKS)('is written and read over %i Mbit/s, and small ones do not wait for it', async (mbits) => {
    proxy.throttle((mbits * 1e6) / 8);
    const written = await beside(
      put(port, 'large', LARGEST).then(({ status }) => expect(status).toBeLessThan(300)),
    );
    const read = await beside(
      ask(port, pathOf('large')).then(({ status, bytes }) =>
        expect({ status, same: bytes.equals(LARGEST) }).toEqual({ status: 200, same: true }),
      ),
    );
    proxy.restore();
    process.stdout.write(
      `16 MiB over ${mbits} Mbit/s: beside the write ${written.count} small ones, the slowest ${written.slowest} ms, ` +
        `beside the read ${read.count}, the slowest ${read.slowest} ms\n`,
    );
    expect(Math.min(written.count, read.count)).toBeGreaterThan(MIN_SMALL);
    expect(server.output().stdout + server.output().stderr).not.toMatch(/is lost/);
  });

  test.each([true, false])(
    'is read by a batch, and small ones do not wait for it, atomic: %s',
    async (atomic) => {
      const value = 'z'.repeat(4 * 2 ** 20);
      for (const key of ['{t}a', '{t}b']) await stored(port, key, value);
      const reads = ['{t}a', '{t}b'].map((key) => ({ op: 'get', key }));
      proxy.throttle((30 * 1e6) / 8);
      const { count, slowest } = await beside(
        batch(port, reads, atomic).then((answer) => expect(valuesOf(answer)).toEqual([value, value])),
      );
      proxy.restore();
      process.stdout.write(`8 MiB by a batch: beside it ${count} small ones, the slowest ${slowest} ms\n`);
      expect(count).toBeGreaterThan(MIN_SMALL);
    },
  );

  test.each([true, false])(
    'is read by a batch before it is replaced by the same, atomic: %s',
    async (atomic) => {
      await stored(port, 'before', LARGE);
      const read = { op: 'get', key: 'before' };
      const ops = [read, { op: 'put', key: 'before', value: 'after' }, read];
      expect(valuesOf(await batch(port, ops, atomic))).toEqual([LARGE, undefined, 'after']);
      expect(await valueOf(port, 'before')).toBe('after');
    },
  );

  test('is touched without being sent', async () => {
    const whole = 'y'.repeat(8 * 2 ** 20);
    await stored(port, 'whole', whole);
    proxy.throttle((30 * 1e6) / 8);
    for (let i = 0; i < 4; i++) {
      const touched = await ask(port, `${pathOf('whole')}?ttl=1h`, { method: 'PATCH' });
      expect(touched.status).toBe(200);
      expect(JSON.parse(touched.text)).toMatchObject({ size: whole.length });
    }
    proxy.restore();
    expect(await valueOf(port, 'whole')).toBe(whole);
  });

  test('takes the place of a small one, and leaves it', async () => {
    const values = ['', 'small', LARGE, `${LARGE}!`, 'small', LARGE, ''];
    for (const value of values) {
      await stored(port, 'changing', value);
      expect(await valueOf(port, 'changing')).toBe(value);
      const { items } = await pageOf(port, '?prefix=changing&values=true');
      expect(items.map((item) => [item.size, item.value === value])).toEqual([[value.length, true]]);
      expect(
        await redis.cli(
          'EVAL',
          "local k = redis.call('KEYS', '*echanging') return redis.call('HLEN', k[1])",
          '0',
        ),
      ).toBe('2');
    }
    await stored(port, 'changing', LARGE);
    await ask(port, `${pathOf('changing')}?ttl=1h`, { method: 'PATCH' });
    expect(await valueOf(port, 'changing')).toBe(LARGE);
    expect((await ask(port, pathOf('changing'), { method: 'DELETE' })).status).toBe(204);
    expect(await valueOf(port, 'changing')).toBeUndefined();
  });
});
