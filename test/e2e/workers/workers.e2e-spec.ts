import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import { eventually } from '../../support/eventually.js';
import { EventStream, toldOf } from '../../support/events.js';
import { ask, getPath, type Answer } from '../../support/http.js';
import { batch, expectProblem, pathOf, put, type Page } from '../../support/kv.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { manyConnections, startWorkers, workersOf } from '../../support/workers.js';
import { longTest } from '../../support/long-run.js';

const WORKERS = 3;

/** The rules of one server, asked of several processes through connections that each has some of. */
function behavesAsOne(settings: () => Promise<Record<string, string>>): void {
  let server: ServerProcess;
  let agents: http.Agent[];

  beforeAll(async () => {
    server = await startWorkers(WORKERS, await settings());
    agents = manyConnections(WORKERS);
  });

  afterAll(async () => {
    for (const agent of agents) agent.destroy();
    await server.end('SIGTERM');
  });

  const ofAll = (path: string, headers: Record<string, string> = {}): Promise<Answer[]> =>
    Promise.all(agents.map((agent) => ask(server.port, path, { agent, headers })));
  const textsOfAll = async (path: string, headers?: Record<string, string>): Promise<string[]> =>
    (await ofAll(path, headers)).map(({ text }) => text);
  const write = (i: number, key: string, body: string, query = ''): Promise<Answer> =>
    ask(server.port, pathOf(key) + query, { method: 'PUT', body, agent: agents[i % agents.length]! });

  test('a write is shown to every connection as soon as it was answered, on whatever route', async () => {
    for (let i = 0; i < 30; i++) {
      const value = `v${i}`;
      const written = await write(i, 'seen/a', value);
      expect(await textsOfAll(getPath('seen/a'))).toEqual(agents.map(() => `{"seen/a":"${value}"}`));
      for (const text of await textsOfAll('/kv?prefix=seen/&values=true')) {
        const [item] = (JSON.parse(text) as Page).items;
        expect(item).toMatchObject({ value, etag: written.headers.etag!.slice(1, -1) });
      }
      for (const text of await textsOfAll('/')) expect(text).toContain(`"seen/a":"${value}"`);
      for (const text of await textsOfAll('/kv?prefix=seen/', { Accept: 'application/x-ndjson' }))
        expect(text).toContain(`"value":"${value}"`);
      await ask(server.port, pathOf(`seen/b${i}`), {
        method: 'PUT',
        body: 'x',
        agent: agents[i % agents.length]!,
      });
      const counts = (await ofAll('/kv?prefix=seen/&count=true')).map(({ headers }) => headers['kv-count']);
      expect(counts).toEqual(agents.map(() => String(i + 2)));
    }
  });

  test('every one of many increments through all connections counts', async () => {
    const add = (agent: http.Agent) => ask(server.port, '/kv/count?incr=1', { method: 'PATCH', agent });
    for (let i = 0; i < 20; i++) await Promise.all(agents.map(add));
    expect(await textsOfAll('/kv/count')).toEqual(agents.map(() => String(20 * agents.length)));
  });

  test('of many creations exactly one wins, and of many replacements of one tag', async () => {
    const race = async (headers: Record<string, string>): Promise<number[]> => {
      const answers = await Promise.all(
        agents.map((agent, i) =>
          ask(server.port, '/kv/lock', { method: 'PUT', body: `${i}`, headers, agent }),
        ),
      );
      return answers.map(({ status }) => status).toSorted((a, b) => a - b);
    };
    const losers = agents.slice(1).map(() => 412);
    expect(await race({ 'If-None-Match': '*' })).toEqual([201, ...losers]);
    const { headers } = await ask(server.port, '/kv/lock');
    expect(await race({ 'If-Match': headers.etag! })).toEqual([200, ...losers]);
  });

  test('every watcher hears of each change once, in order, and of an expiry once', async () => {
    const streams = await Promise.all(
      agents.map(() => EventStream.live(server.port, '/kv?prefix=news/&since=now')),
    );
    for (let i = 0; i < 40; i++) await write(i, `news/${i % 4}`, `${i}`);
    await write(0, 'news/brief', 'x', '?ttl=1s');
    await Promise.all(streams.map((stream) => stream.until(({ event }) => event === 'expire')));
    await write(1, 'news/last', 'x');
    const told = [...Array.from({ length: 40 }, (_, i) => `put ${i}`), 'put x', 'expire undefined', 'put x'];
    for (const stream of streams) {
      await stream.told('news/last');
      stream.close();
      const changes = stream.events.filter(({ event }) => ['put', 'delete', 'expire'].includes(event));
      expect(changes.map((event) => `${event.event} ${toldOf(event).value}`)).toEqual(told);
    }
  });

  test('a watcher that comes back to another process misses nothing', async () => {
    const first = await EventStream.live(server.port, '/kv?prefix=back/');
    await write(0, 'back/0', 'x');
    await first.told('back/0');
    first.close();
    for (let i = 1; i < 10; i++) await write(i, `back/${i}`, 'x');
    const again = agents.map(() =>
      EventStream.live(server.port, '/kv?prefix=back/', { 'Last-Event-ID': first.lastId! }),
    );
    for (const stream of await Promise.all(again)) {
      stream.close();
      const puts = stream.events.filter(({ event }) => event === 'put').map((event) => toldOf(event).key);
      expect(puts).toEqual(Array.from({ length: 9 }, (_, i) => `back/${i + 1}`));
      expect(stream.names).not.toContain('reset');
    }
  });

  test('a long-poll is answered by what another process writes', async () => {
    const { headers } = await write(0, 'poll', 'old');
    const held = textsOfAll('/kv/poll', { Prefer: 'wait=20', 'If-None-Match': headers.etag! });
    const absent = textsOfAll('/kv/poll-new', { Prefer: 'wait=20' });
    await put(server.port, 'poll', 'new');
    await put(server.port, 'poll-new', 'there');
    expect(await held).toEqual(agents.map(() => 'new'));
    expect(await absent).toEqual(agents.map(() => 'there'));
  });
}

describe('several workers on one folder are one server:', () => {
  behavesAsOne(() => Promise.resolve({}));

  test('tags rise over all of them', async () => {
    const server = await startWorkers(WORKERS);
    const agents = manyConnections(WORKERS);
    let last = '';
    for (let i = 0; i < 60; i++) {
      const agent = agents[i % agents.length]!;
      const { headers } = await ask(server.port, '/kv/fence', { method: 'PUT', body: `${i}`, agent });
      expect(headers.etag! > last).toBe(true);
      last = headers.etag!;
    }
    await server.end();
  });

  test('a batch is seen whole or not at all', async () => {
    const server = await startWorkers(WORKERS);
    const agents = manyConnections(WORKERS);
    let isOver = false;
    const pair = (value: number) => ['a', 'b'].map((key) => ({ op: 'put', key, value: `${value}` }));
    await batch(server.port, pair(0));
    const readers = agents.map(async (agent) => {
      while (!isOver) {
        const { a, b } = JSON.parse((await ask(server.port, '/', { agent })).text) as Record<string, string>;
        expect(a).toBe(b);
      }
    });
    for (let i = 1; i < 200; i++) await batch(server.port, pair(i));
    isOver = true;
    await Promise.all(readers);
    await server.end();
  });

  test('places for watchers are divided, and whoever is refused is told so', async () => {
    const server = await startWorkers(2, { MAX_WATCHERS: '4' });
    const streams: EventStream[] = [];
    let refused: Answer | undefined;
    while (!refused && streams.length < 5) {
      const headers = { Accept: 'text/event-stream' };
      await EventStream.live(server.port, '/kv?since=now').then(
        (stream) => streams.push(stream),
        async () => (refused = await refusalOf(server.port, headers)),
      );
    }
    expect(streams.length).toBeGreaterThanOrEqual(2);
    expect(streams.length).toBeLessThanOrEqual(4);
    await server.end();
  });
});

/** What a watcher is told that finds no place anywhere: tries until a connection has come to a full process. */
async function refusalOf(port: number, headers: Record<string, string>): Promise<Answer> {
  const answer = await ask(port, '/kv', { headers, agent: false });
  const { detail } = expectProblem(answer, 503, 'busy');
  expect(detail).toBe('2 clients are watching already (MAX_WATCHERS, divided among 2 WORKERS).');
  return answer;
}

describeOnRedis('several workers are one server', (binary) => {
  behavesAsOne(async () => ({ DATABASE_URL: (await startRedis({ binary })).url }));

  longTest('what limits the promises of Redis is said once', async () => {
    const redis = await startRedis({ binary, args: ['--appendonly', 'no'] });
    const server = await startServer({ DATABASE_URL: redis.url, WORKERS: '3' });
    await eventually(() => workersOf(server).length === 3);
    await put(server.port, 'a', 'x');
    await server.end('SIGTERM');
    const lines = server.output().stdout.concat(server.output().stderr).split('\n');
    expect(lines.filter((line) => line.includes('appendonly')).length).toBe(1);
  });
});
