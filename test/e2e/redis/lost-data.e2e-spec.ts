import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { JSON_TYPE, put } from '../../support/kv.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startInProcess, type Target } from '../../support/target.js';

const READS = [
  '/kv/x',
  '/kv?key=x',
  '/kv/never',
  '/get?key=x',
  '/',
  '/kv?prefix=',
  '/kv?prefix=&values=true',
  '/kv?prefix=&count=true',
  '/kv/x?history=true',
];

describeOnRedis('a Redis server that comes back without its data', (binary) => {
  let redis: RedisServer;
  let target: Target;

  beforeEach(async () => {
    redis = await startRedis({ binary, args: ['--appendonly', 'no'] });
    target = await startInProcess({ DATABASE_URL: `${redis.url}?partitions=4` });
    expect((await put(target.port, 'x', '1')).status).toBe(201);
    expect((await ask(target.port, '/kv/never')).status).toBe(404);
  });
  afterEach(async () => {
    await target.close();
    await redis.stop();
  });

  async function expectAllToSayIt(): Promise<void> {
    const statuses: Record<string, number> = {};
    for (const path of READS) {
      const answer = await ask(target.port, path);
      statuses[path] = answer.status;
      expect(answer.text).toContain('has come back without its data');
    }
    expect(statuses).toEqual(Object.fromEntries(READS.map((path) => [path, 503])));
    const ndjson = await ask(target.port, '/kv?prefix=', { headers: { accept: 'application/x-ndjson' } });
    const events = await ask(target.port, '/kv/x', { headers: { accept: 'text/event-stream' } });
    // It has begun, and ends: an EventSource tries again then, which it does not after a 503.
    expect({ status: events.status, text: events.text }).toEqual({ status: 200, text: 'retry: 1000\n\n' });
    const batch = await ask(target.port, '/batch', {
      method: 'POST',
      headers: JSON_TYPE,
      body: '{"ops":[{"op":"get","key":"x"}]}',
    });
    const write = await put(target.port, 'x', '2');
    for (const answer of [ndjson, batch, write]) {
      expect(answer.status).toBe(503);
      expect(answer.text).toContain('has come back without its data');
    }
    const stats = await ask(target.port, '/stats');
    expect(stats.text).toContain('has come back without its data');
    expect(JSON.parse(stats.text)).toMatchObject({ store: { entries: null } });
    const health = await ask(target.port, '/health/ready');
    expect(health.status).toBe(503);
    expect(health.text).toContain('4 of 4 partitions are gone');
  }

  const says = async () => (await ask(target.port, '/kv/x')).text.includes('without its data');

  test('is not taken for an empty one by any read, while the server goes on', async () => {
    await redis.restart();
    const answers: number[] = [];
    await eventually(async () => {
      const { status } = await ask(target.port, '/kv/x');
      answers.push(status);
      return says();
    }, 'the loss is told');
    expect(new Set(answers)).toEqual(new Set([503]));
    await expectAllToSayIt();
  });

  test('is noticed too where somebody deletes everything, and is over when the data is back', async () => {
    await redis.cli('SAVE');
    await redis.cli('FLUSHALL');
    await eventually(says, 'the loss is told');
    expect((await ask(target.port, '/health/ready')).status).toBe(503);
    await redis.restart();
    await eventually(async () => (await ask(target.port, '/kv/x')).text === '1', 'the data is back');
    await eventually(async () => (await ask(target.port, '/health/ready')).status === 200, 'ready again');
    expect((await put(target.port, 'x', '2')).status).toBe(200);
  });
});
