import { expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../support/http.js';
import { pathOf } from '../support/kv.js';
import { EventStream, toldOf, type SentEvent } from '../support/events.js';
import { Random } from '../support/random.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const CLIENTS = Number(process.env['WATCH_CLIENTS'] ?? 6);
const WRITES = Number(process.env['WATCH_WRITES'] ?? 1500);
const KILLS = Number(process.env['WATCH_KILLS'] ?? 3);
const KEYS = 40;
const WRITERS = 8;

/** Somebody who follows everything over one connection after the other, and goes on by the id of the last event. */
class Follower {
  /** The events of changes since the last reset, in the order in which they came; the snapshot is told apart. */
  readonly changes: SentEvent[] = [];
  readonly shown = new Map<string, string>();
  resets = 0;
  reconnects = 0;
  heardEnd = false;
  private id: string | undefined;
  private stream: EventStream | undefined;

  constructor(private readonly random: Random) {}

  async run(port: () => number, isOver: () => boolean): Promise<void> {
    for (let tries = 0; !this.heardEnd && tries < 5000 && !isOver(); tries++) {
      const headers = this.id === undefined ? {} : { 'Last-Event-ID': this.id };
      const opened = EventStream.open(port(), '/kv?prefix=', headers, (event) => this.take(event));
      this.stream = await opened.catch(() => undefined);
      if (this.stream) {
        this.reconnects++;
        await Promise.race([this.stream.ended, this.untilBored(), this.untilEnd(isOver)]);
        this.stream.close();
        await this.stream.ended;
      } else {
        await pause(20);
      }
    }
  }

  private async untilBored(): Promise<void> {
    await pause(20 + this.random.below(400));
  }

  private async untilEnd(isOver: () => boolean): Promise<void> {
    while (!this.heardEnd && !isOver()) await pause(10);
  }

  private take(event: SentEvent): void {
    if (event.id !== undefined) this.id = event.id;
    if (event.event === 'reset') {
      this.resets++;
      this.shown.clear();
      this.changes.length = 0;
    }
    if (event.event === 'ready' || event.event === 'heartbeat' || event.event === 'reset') return;
    const { key, etag } = toldOf(event);
    if (event.id === undefined) this.shown.set(key, etag);
    else this.changes.push(event);
    if (key === 'end') this.heardEnd = true;
  }
}

/** Writes until every write is done, over the deaths of the server. Keeps the tag of each put that was answered. */
class Writing {
  readonly answered: { key: string; etag: string }[] = [];
  private done = 0;

  async run(port: () => number): Promise<void> {
    await Promise.all(Array.from({ length: WRITERS }, (_, i) => this.lane(new Random(i), port)));
  }

  get shareDone(): number {
    return this.done / WRITES;
  }

  private async lane(random: Random, port: () => number): Promise<void> {
    while (this.done < WRITES) {
      const i = this.done++;
      const key = `k${random.below(KEYS)}`;
      try {
        if (random.chance(0.15)) await ask(port(), pathOf(key), { method: 'DELETE', agent: false });
        else {
          const question = { method: 'PUT', body: `${i}`, agent: false as const };
          const { headers, status } = await ask(port(), pathOf(key), question);
          if (status < 300) this.answered.push({ key, etag: headers.etag!.slice(1, -1) });
        }
      } catch {
        this.done--;
        await pause(20);
      }
    }
  }
}

/** How what `follower` was told differs from what the log says, which is `truth`. */
function compare({ changes, shown }: Follower, truth: readonly SentEvent[]) {
  const ids = changes.map(({ id }) => id!);
  const first = [...shown.values()].reduce((least, etag) => (etag > least ? etag : least), '');
  const begin = ids[0] ?? first;
  const expected = truth.filter(({ id }) => id! >= begin).map(({ id }) => id!);
  const told = new Set(ids);
  return {
    duplicates: ids.length - told.size,
    missing: expected.filter((id) => !told.has(id)).length,
    disordered: ids.filter((id, i) => i > 0 && id <= ids[i - 1]!).length,
    invented: ids.filter((id) => !expected.includes(id)).length,
  };
}

async function run(settings: Record<string, string>) {
  const DATABASE_URL = `lmdb:${temporaryFolder()}`;
  let server: ServerProcess = await startServer({ DATABASE_URL, ...settings });
  const port = () => server.port;
  const reference = await EventStream.live(port(), '/kv?since=now');
  const origin = reference.lastId!;
  reference.close();
  let isOver = false;
  const followers = Array.from({ length: CLIENTS }, (_, i) => new Follower(new Random(100 + i)));
  const following = followers.map((follower) => follower.run(port, () => isOver));
  const writing = new Writing();
  const written = writing.run(port);
  for (let kill = 1; kill <= KILLS; kill++) {
    while (writing.shareDone < kill / (KILLS + 1)) await pause(5);
    await server.end('SIGKILL');
    server = await startServer({ DATABASE_URL, ...settings });
  }
  await written;
  await ask(port(), '/kv/end', { method: 'PUT', body: 'x' });
  const late = setTimeout(() => (isOver = true), 30_000);
  await Promise.all(following);
  clearTimeout(late);
  const log = await EventStream.live(port(), '/kv', { 'Last-Event-ID': origin });
  log.close();
  const whole = !log.names.includes('reset');
  const truth = log.events.filter(({ id, event }) => id !== undefined && event !== 'ready');
  await server.end('SIGTERM');
  return { followers, writing, truth, whole };
}

function report(followers: readonly Follower[], found: ReturnType<typeof compare>[], writes: number): void {
  const sum = (numbers: number[]) => numbers.reduce((all, each) => all + each, 0);
  process.stdout.write(
    `watch: ${followers.length} clients, ${writes} writes, ${sum(followers.map(({ changes }) => changes.length))} events, ` +
      `${sum(found.map(({ duplicates }) => duplicates))} duplicates, ${sum(found.map(({ missing }) => missing))} missing, ` +
      `${sum(followers.map(({ resets }) => resets))} resets\n`,
  );
}

test(
  `${CLIENTS} clients that come and go, and ${KILLS} kill -9: nothing missing, nothing twice`,
  async () => {
    const { followers, writing, truth, whole } = await run({});
    expect(whole).toBe(true);
    const found = followers.map((follower) => compare(follower, truth));
    report(followers, found, writing.answered.length);
    expect(followers.map(({ heardEnd, resets }) => ({ heardEnd, resets }))).toEqual(
      followers.map(() => ({ heardEnd: true, resets: 0 })),
    );
    expect(found).toEqual(found.map(() => ({ duplicates: 0, missing: 0, disordered: 0, invented: 0 })));
    const logged = new Set(truth.map(({ id }) => id));
    expect(writing.answered.filter(({ etag }) => !logged.has(etag))).toEqual([]);
    expect(followers.some(({ reconnects }) => reconnects > KILLS)).toBe(true);
  },
  120_000 + WRITES * 20,
);

test('a client whose id has fallen out of the log is told so and begins anew', async () => {
  const server = await startServer({ WATCH_LOG_BYTES: '65536' });
  await ask(server.port, '/kv/first', { method: 'PUT', body: 'x' });
  const stream = await EventStream.live(server.port, '/kv');
  stream.close();
  for (let i = 0; i < 40; i++)
    await ask(server.port, `/kv/k${i % 5}`, { method: 'PUT', body: 'v'.repeat(10_000) });
  const again = await EventStream.live(server.port, '/kv', { 'Last-Event-ID': stream.lastId! });
  again.close();
  expect(again.names).toEqual(['reset', ...Array.from({ length: 6 }, () => 'put'), 'ready']);
  await server.end();
});
