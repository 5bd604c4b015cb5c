import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { EventStream, toldOf } from '../../support/events.js';
import { ask, eachAtOnce } from '../../support/http.js';
import { batch, NDJSON, pathOf, put, stored } from '../../support/kv.js';
import { startCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const INCREMENTS = 3_000;
const ENTRIES = 12_000;
const AT_ONCE = 32;

describeOnRedis('a watcher on a cluster is never reset', (binary) => {
  let server: ServerProcess;
  const streams: EventStream[] = [];

  beforeAll(async () => {
    const cluster = await startCluster({ binary, replicas: 0 });
    server = await startServer({ DATABASE_URL: cluster.url });
  });
  afterAll(async () => {
    for (const stream of streams) stream.close();
    await server.end('SIGTERM');
  });

  async function open(path: string, headers?: Record<string, string>): Promise<EventStream> {
    const stream = await EventStream.open(server.port, path, headers);
    streams.push(stream);
    return stream;
  }

  async function live(path: string): Promise<EventStream> {
    const stream = await open(path);
    await stream.until(({ event }) => event === 'ready');
    return stream;
  }

  const increment = (key: string) => ask(server.port, `${pathOf(key)}?incr=1`, { method: 'PATCH' });

  async function countUp(key: string, times: number): Promise<void> {
    await eachAtOnce(Array.from({ length: times }), AT_ONCE, async () => {
      expect((await increment(key)).status).toBeLessThan(300);
    });
  }

  /** Expects that `stream` has seen no reset, and that a client with its last id or an older one gets none either. */
  async function expectNoReset(stream: EventStream, path: string, since: string): Promise<void> {
    expect(stream.names).not.toContain('reset');
    for (const id of [since, stream.lastId!]) {
      const again = await open(path, { 'Last-Event-ID': id });
      await again.until(({ event }) => event === 'ready');
      expect(again.names).not.toContain('reset');
    }
  }

  it.each([
    ['of the same partition', '{t}counter', '{t}watched'],
    ['of another partition', 'counter', 'watched'],
  ])(`by ${INCREMENTS} increments of another key, %s`, async (_name, counter, watched) => {
    await stored(server.port, watched, 'old');
    const path = `${pathOf(watched)}?watch=true`;
    const stream = await live(path);
    const since = stream.lastId!;
    await countUp(counter, INCREMENTS);
    const etag = (await stored(server.port, watched, 'new')).slice(1, -1);
    await stream.told(watched, etag);
    await expectNoReset(stream, path, since);
  });

  it('by an atomic batch of 1,000 in one tag', async () => {
    const path = '/kv?prefix={b}&watch=true';
    const [own, other] = [await live(path), await live('/kv?key={b}other&watch=true')];
    const [since, sinceOther] = [own.lastId!, other.lastId!];
    const operations = Array.from({ length: 1_000 }, (_, i) => ({
      op: 'put',
      key: `{b}${i}`,
      value: 'v'.repeat(500),
    }));
    expect((await batch(server.port, operations, true)).status).toBe(200);
    for (let i = 0; i < 1_000; i++) await own.told(`{b}${i}`);
    await expectNoReset(own, path, since);
    await expectNoReset(other, '/kv?key={b}other&watch=true', sinceOther);
  });

  it('by twelve puts of 60 KB in one tag', async () => {
    const path = '/kv?prefix={l}&watch=true';
    const stream = await live(path);
    const since = stream.lastId!;
    for (let i = 0; i < 12; i++) await put(server.port, `{l}${i}`, 'v'.repeat(60_000));
    for (let i = 0; i < 12; i++) await stream.told(`{l}${i}`);
    await expectNoReset(stream, path, since);
  });

  it(`while it gets a snapshot of ${ENTRIES} entries beside a busy counter`, async () => {
    const lines = Array.from({ length: ENTRIES }, (_, i) =>
      JSON.stringify({ key: `s/${i}`, value: 'v'.repeat(200) }),
    );
    const imported = await ask(server.port, '/kv', {
      method: 'POST',
      headers: NDJSON,
      body: lines.join('\n'),
    });
    expect(imported.status).toBe(200);
    let busy = true;
    const counting = Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (busy) await increment('s/counter');
      }),
    );
    const stream = await live('/kv?prefix=s/&watch=true');
    busy = false;
    await counting;
    expect(stream.names).not.toContain('reset');
    const shown = new Set(stream.events.map((event) => toldOf(event).key));
    expect(Array.from({ length: ENTRIES }, (_, i) => `s/${i}`).filter((key) => !shown.has(key))).toEqual([]);
  });
});
