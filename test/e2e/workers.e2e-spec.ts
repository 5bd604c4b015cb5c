import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import http from 'node:http';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { EventStream, type SentEvent } from '../support/events.js';
import { ask, getPath, setPath, type Answer } from '../support/http.js';
import { runToEnd, startServer, type ServerProcess } from '../support/server.js';

const WORKERS = 3;
/** How long a new worker may take until it serves, on a busy machine. */
const TO_LISTEN_MS = 3000;

/** The processes that serve. */
function workersOf({ pid }: ServerProcess): number[] {
  const found = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
  return found.trim().split('\n').map(Number);
}

/** So many connections that, dealt out in turn, every worker has some; each of them is kept. */
function manyConnections(): http.Agent[] {
  return Array.from({ length: 4 * WORKERS }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
}

async function eventually(holds: () => boolean | Promise<boolean>, within = 10_000): Promise<void> {
  const until = Date.now() + within;
  while (!(await holds())) {
    if (Date.now() > until) throw new Error('it did not come to pass');
    await pause(20);
  }
}

describe('a server with several workers', () => {
  let server: ServerProcess;
  const agents = manyConnections();

  beforeAll(async () => {
    server = await startServer({ WORKERS: String(WORKERS) });
    await eventually(() => workersOf(server).length === WORKERS);
    await pause(1000);
  });

  afterAll(async () => {
    for (const agent of agents) agent.destroy();
    await server.end('SIGTERM');
  });

  test('shows a write to every connection as soon as it was answered', async () => {
    for (let i = 0; i < 30; i++) {
      const value = `v${i}`;
      await ask(server.port, setPath('shared', value), { agent: agents[i % agents.length] });
      const answers = await Promise.all(
        agents.map((agent) => ask(server.port, getPath('shared'), { agent })),
      );
      expect(answers.map(({ text }) => text)).toEqual(agents.map(() => JSON.stringify({ shared: value })));
    }
  });

  test('counts every one of many increments through all connections', async () => {
    const add = (agent: http.Agent): Promise<Answer> =>
      ask(server.port, '/kv/count?incr=1', { method: 'PATCH', agent });
    for (let i = 0; i < 20; i++) await Promise.all(agents.map(add));
    expect((await ask(server.port, '/kv/count')).text).toBe(String(20 * agents.length));
  });

  test('lets exactly one of many creations win', async () => {
    const create = (agent: http.Agent, i: number): Promise<Answer> =>
      ask(server.port, '/kv/lock', {
        method: 'PUT',
        headers: { 'If-None-Match': '*', 'Content-Type': 'text/plain' },
        body: `${i}`,
        agent,
      });
    const statuses = (await Promise.all(agents.map(create))).map(({ status }) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([201, ...agents.slice(1).map(() => 412)]);
  });

  test('tells watchers of every worker each change once, in order, and an expiry once', async () => {
    const told: SentEvent[][] = agents.map(() => []);
    const streams = await Promise.all(
      told.map((events) =>
        EventStream.open(server.port, '/kv?prefix=news/&since=now', {}, (event) => events.push(event)),
      ),
    );
    await eventually(() => told.every((events) => events.some(({ event }) => event === 'ready')));
    for (let i = 0; i < 40; i++) {
      await ask(server.port, `/kv/news/${i % 4}`, {
        method: 'PUT',
        headers: { 'Content-Type': 'text/plain' },
        body: `${i}`,
        agent: agents[i % agents.length],
      });
    }
    await ask(server.port, '/kv/news/short?ttl=1s', { method: 'PUT', body: 'x', agent: agents[0] });
    await eventually(() => told.every((events) => events.some(({ event }) => event === 'expire')));
    await pause(700); // another sweep of every worker
    for (const stream of streams) stream.response.destroy();
    const values = (events: SentEvent[]): unknown[] =>
      events
        .filter(({ event }) => event === 'put')
        .map(({ data }) => (JSON.parse(data) as { value: string }).value);
    for (const events of told) {
      expect(values(events)).toEqual([...Array.from({ length: 40 }, (_, i) => `${i}`), 'x']);
      expect(events.filter(({ event }) => event === 'expire').length).toBe(1);
    }
  });

  test('replaces a worker that was killed, and loses nothing that was answered', async () => {
    const acknowledged = new Map<string, string>();
    let going = true;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; going; i++) {
        const key = `w${writer}-${i}`;
        const answer = await ask(server.port, setPath(key, `${i}`), { agent: false }).catch(() => undefined);
        if (answer?.status === 201) acknowledged.set(key, `${i}`);
      }
    });
    for (let kills = 0; kills < 3; kills++) {
      await pause(300);
      const [victim] = workersOf(server);
      process.kill(victim!, 'SIGKILL');
      await eventually(() => {
        const workers = workersOf(server);
        return workers.length === WORKERS && !workers.includes(victim!);
      });
      await pause(TO_LISTEN_MS);
    }
    going = false;
    await Promise.all(writers);
    expect(acknowledged.size).toBeGreaterThan(0);
    for (const [key, value] of acknowledged) {
      expect((await ask(server.port, getPath(key))).text).toBe(JSON.stringify({ [key]: value }));
    }
    expect(server.output().stdout).toMatch(/Worker \d+ has ended \(SIGKILL\); another takes its place/);
  });
});

describe('the process that looks after workers', () => {
  test('stops them all on SIGTERM and ends with 0', async () => {
    const server = await startServer({ WORKERS: '2' });
    await eventually(() => workersOf(server).length === 2);
    const workers = workersOf(server);
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
    await eventually(() => workers.every((pid) => !isAlive(pid)));
  });

  test('leaves none behind when it is killed itself', async () => {
    const server = await startServer({ WORKERS: '2' });
    await eventually(() => workersOf(server).length === 2);
    const workers = workersOf(server);
    await server.end('SIGKILL');
    await eventually(() => workers.every((pid) => !isAlive(pid)), 15_000);
  });

  test('says once why no worker can start', async () => {
    const ended = await runToEnd({ WORKERS: '2', PORT: '0', DATABASE_URL: 'memory:' });
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim()).toBe(
      'pigeonhole: A memory: database is of one process only. Start the server without WORKERS.',
    );
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
