import { afterEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, HANG_MS } from '../support/eventually.js';
import { ask, type Answer, type Question } from '../support/http.js';
import { pathOf } from '../support/kv.js';
import { rounds } from '../support/long-run.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/*
 * Clients that repeat each write under its Idempotency-Key until it is answered, through a proxy that loses every fifth answer,
 * while the server is killed and started again. What a write did more than once, or not at all, shows in sums that every client
 * adds to, and in the history of a key that one client alone writes.
 */
const CLIENTS = 64;
const ROUNDS = rounds(2, 50);
const COUNTERS = 8;
const LOSES = 5;
const SHORTEST_MS = 200;
const LONGEST_MS = 1200;

/** Forwards requests in turn to the servers, and breaks off every fifth connection once the server has answered. */
class LossyProxy {
  /** The servers' ports. */
  upstreams: number[] = [];
  lost = 0;
  private count = 0;
  private readonly server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void this.forward(request, Buffer.concat(chunks), response));
  });

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async forward(
    { method, headers, url }: http.IncomingMessage,
    body: Buffer,
    response: http.ServerResponse,
  ): Promise<void> {
    const turn = this.count++;
    try {
      const answer = await ask(this.upstreams[turn % this.upstreams.length]!, url!, {
        method,
        headers,
        body,
      });
      if (turn % LOSES === 0) throw new Error(`answer ${this.lost++} is lost`);
      response.writeHead(answer.status, answer.headers);
      response.end(answer.bytes);
    } catch {
      response.socket?.destroy();
    }
  }
}

/** Writes of one client, each under a key of its own, and what they have to come to. */
class Client {
  /** What the history of its key must be, oldest first. */
  readonly history: string[] = [];
  counted = 0;
  transferred = 0;
  repeats = 0;
  replays = 0;
  wrong: string[] = [];

  constructor(
    readonly number: number,
    private readonly port: number,
  ) {}

  get key(): string {
    return `own/${this.number}`;
  }

  /** Writes until `isOver`, and each write until it is answered. */
  async write(isOver: () => boolean): Promise<void> {
    for (let turn = 0; !isOver(); turn++) {
      await this.once(pathOf(this.key), { method: 'PUT', body: `${turn}` }, 201);
      this.history.push('put');
      await this.once(`/kv/count%2F${this.number % COUNTERS}?incr=1`, { method: 'PATCH' });
      this.counted++;
      await this.once(pathOf(this.key), { method: 'DELETE' }, 204);
      this.history.push('delete');
      const ops = [
        { op: 'incr', key: '{account}a', by: -1 },
        { op: 'incr', key: '{account}b', by: 1 },
      ];
      await this.once('/batch', { method: 'POST', body: JSON.stringify({ ops }) }, 200);
      this.transferred++;
    }
  }

  private async once(path: string, question: Question, status?: number): Promise<Answer> {
    const headers = { 'Idempotency-Key': randomUUID(), 'Content-Type': 'application/json' };
    for (;;) {
      const answer = await ask(this.port, path, { ...question, headers, agent: false }).catch(
        () => undefined,
      );
      if (answer && answer.status < 500) {
        if (answer.headers['idempotency-replayed']) this.replays++;
        const isRight = status === undefined ? [200, 201].includes(answer.status) : answer.status === status;
        if (!isRight) this.wrong.push(`${question.method} ${path} ${answer.status} ${answer.text}`);
        return answer;
      }
      this.repeats++;
      await pause(5 + Math.random() * 20);
    }
  }
}

let proxy: LossyProxy;
afterEach(() => proxy.stop());

/** Runs the clients while each server in turn is killed and started again. Returns them when all have their answers. */
async function writeBesideKills(start: () => Promise<ServerProcess>, count: number): Promise<Client[]> {
  const servers = await Promise.all(Array.from({ length: count }, start));
  const tell = () => (proxy.upstreams = servers.map(({ port }) => port));
  proxy = new LossyProxy();
  tell();
  const port = await proxy.start();
  const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(i, port));
  let isOver = false;
  const writing = Promise.all(clients.map((client) => client.write(() => isOver)));
  for (let round = 0; round < ROUNDS; round++) {
    const done = sumOf(clients, 'counted');
    await eventually(() => sumOf(clients, 'counted') > done + CLIENTS, 'answers');
    await pause(SHORTEST_MS + Math.random() * (LONGEST_MS - SHORTEST_MS));
    await servers[round % count]!.end('SIGKILL');
    servers[round % count] = await start();
    tell();
  }
  isOver = true;
  await writing;
  return clients;
}

function sumOf(clients: readonly Client[], what: 'counted' | 'transferred' | 'repeats' | 'replays'): number {
  return clients.reduce((sum, client) => sum + client[what], 0);
}

async function numberAt(path: string): Promise<number> {
  return Number((await ask(proxy.upstreams[0]!, path)).text);
}

/** Checks the sums, and says how much was repeated. */
async function expectExact(clients: readonly Client[], where: string): Promise<void> {
  const [counted, transferred] = [sumOf(clients, 'counted'), sumOf(clients, 'transferred')];
  const counters = await Promise.all(
    Array.from({ length: COUNTERS }, (_, i) => numberAt(`/kv/count%2F${i}`)),
  );
  process.stdout.write(
    `Idempotency-Key ${where}: ${ROUNDS} kills, ${counted + transferred + 2 * counted} writes, ${proxy.lost} answers lost, ` +
      `${sumOf(clients, 'repeats')} repeats, ${sumOf(clients, 'replays')} answered again\n`,
  );
  expect(clients.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(counters.reduce((sum, each) => sum + each, 0)).toBe(counted);
  expect(await numberAt('/kv/%7Baccount%7Da')).toBe(-transferred);
  expect(await numberAt('/kv/%7Baccount%7Db')).toBe(transferred);
  expect(sumOf(clients, 'replays')).toBeGreaterThan(0);
}

/** The kinds of the changes of a key, oldest first. */
async function kindsOf(key: string): Promise<string[]> {
  const kinds: string[] = [];
  for (let after = ''; ;) {
    const query = `history=true&values=false&limit=1000${after && `&after=${after}`}`;
    const { text } = await ask(proxy.upstreams[0]!, `${pathOf(key)}?${query}`);
    const { items, next } = JSON.parse(text) as { items: { kind: string }[]; next: string | null };
    kinds.push(...items.map(({ kind }) => kind));
    if (next === null) return kinds.reverse();
    after = next;
  }
}

describe(`writes of ${CLIENTS} clients that are repeated until answered are done once`, () => {
  test(
    'over kill -9 of the server',
    async () => {
      const DATABASE_URL = `lmdb:${temporaryFolder()}`;
      const clients = await writeBesideKills(() => startServer({ DATABASE_URL }), 1);
      await expectExact(clients, 'on LMDB');
      for (const client of clients)
        expect({ key: client.key, kinds: await kindsOf(client.key) }).toEqual({
          key: client.key,
          kinds: client.history,
        });
    },
    (2 + ROUNDS) * HANG_MS,
  );
});

describeOnRedis(`writes of ${CLIENTS} clients that are repeated at another server`, (binary) => {
  test(
    'are done once, over kill -9 of the servers',
    async () => {
      const { url } = await startRedis({ binary });
      const clients = await writeBesideKills(() => startServer({ DATABASE_URL: url }), 2);
      await expectExact(clients, 'on two servers of one Redis');
    },
    (2 + ROUNDS) * HANG_MS,
  );
});
