import { expect, test } from '@jest/globals';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../support/http.js';
import { HANG_MS } from '../support/eventually.js';
import { longTest, rounds } from '../support/long-run.js';
import { pathOf, type Page } from '../support/kv.js';
import { EventStream } from '../support/events.js';
import { Random } from '../support/random.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { differencesOf, Follower, LAST_KEY } from './followers.js';

/** A round is 500 writes and one kill -9. */
const ROUNDS = rounds(2);
const WRITES = ROUNDS * 500;
const CLIENTS = 20;
const WRITERS = 8;
const KEYS = 40;
const RETRY_MS = 20;

/** A log of about 300 changes, and the number of writes after which a position has left it. */
const SHORT_LOG = { WATCH_LOG_BYTES: `${128 * 1024}` };
const LONG_VALUE = 'v'.repeat(300);
const ABSENCE_WRITES = 700;

/** Does all writes, over the crashes of the server. */
class Writing {
  /** The tags of acknowledged puts. */
  readonly tags: string[] = [];
  done = 0;
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: WRITERS });

  constructor(private readonly filler: string) {}

  async run(port: () => number): Promise<void> {
    await Promise.all(Array.from({ length: WRITERS }, (_, i) => this.writeAll(new Random(i), port)));
    this.agent.destroy();
  }

  /** Waits until `count` writes are done, or all. Returns whether there are so many. */
  async until(count: number): Promise<boolean> {
    while (this.done < Math.min(count, WRITES)) await pause(5);
    return count <= WRITES;
  }

  private async writeAll(random: Random, port: () => number): Promise<void> {
    while (this.done < WRITES) {
      const i = this.done++;
      await this.write(random, i, port()).catch(async () => {
        this.done--;
        await pause(RETRY_MS);
      });
    }
  }

  private async write(random: Random, i: number, port: number): Promise<void> {
    const path = pathOf(`k${random.below(KEYS)}`);
    const { agent } = this;
    if (random.chance(0.15)) {
      await ask(port, path, { method: 'DELETE', agent });
      return;
    }
    const { headers, status } = await ask(port, path, { method: 'PUT', body: `${i}${this.filler}`, agent });
    if (status < 300) this.tags.push(headers.etag!.slice(1, -1));
  }
}

interface Outcome {
  /** Ids of all changes from the log; undefined if it does not reach back to the first. */
  readonly logged: string[] | undefined;
  /** Key → tag of the database at the end. */
  readonly state: Map<string, string>;
  readonly slowestRestart: number;
}

/** Runs `followers` while everything is written and the server is killed once a round. */
async function run(
  settings: Record<string, string>,
  writing: Writing,
  followers: readonly Follower[],
): Promise<Outcome> {
  const DATABASE_URL = `lmdb:${temporaryFolder()}`;
  let server: ServerProcess = await startServer({ DATABASE_URL, ...settings });
  let slowestRestart = 0;
  const port = () => server.port;
  const origin = await EventStream.live(port(), '/kv?since=now');
  origin.close();
  const following = followers.map((follower) => follower.run(port));
  const written = writing.run(port);
  for (let round = 1; round <= ROUNDS; round++) {
    await writing.until((WRITES * round) / (ROUNDS + 1));
    await server.end('SIGKILL');
    const begun = performance.now();
    server = await startServer({ DATABASE_URL, ...settings });
    slowestRestart = Math.max(slowestRestart, performance.now() - begun);
  }
  await written;
  await ask(port(), pathOf(LAST_KEY), { method: 'PUT', body: 'x' });
  const late = setTimeout(() => followers.forEach((follower) => follower.stop()), HANG_MS);
  await Promise.all(following);
  clearTimeout(late);
  const log = await EventStream.live(port(), '/kv', { 'Last-Event-ID': origin.lastId! });
  log.close();
  const { items } = JSON.parse((await ask(port(), '/kv?limit=1000')).text) as Page;
  await server.end('SIGTERM');
  const logged = log.events.filter(({ event }) => event !== 'ready').map(({ id }) => id!);
  return {
    logged: log.names.includes('reset') ? undefined : logged,
    state: new Map(items.map(({ key, etag }) => [key, etag])),
    slowestRestart,
  };
}

function report(
  name: string,
  followers: readonly Follower[],
  found: readonly ReturnType<typeof differencesOf>[],
  { tags }: Writing,
  { slowestRestart }: Outcome,
): void {
  const sum = (numbers: number[]) => numbers.reduce((all, each) => all + each, 0);
  const changes = followers.map(({ stretches }) => sum(stretches.map((stretch) => stretch.changes.length)));
  process.stdout.write(
    `${name}: ${ROUNDS} rounds, ${CLIENTS} clients, ${WRITES} writes, ${tags.length} puts acknowledged, ` +
      `${sum(followers.map(({ connections }) => connections))} connections, ${sum(changes)} events, ` +
      `${sum(found.map(({ missing }) => missing))} missing, ${sum(found.map(({ duplicates }) => duplicates))} duplicates, ` +
      `${sum(found.map(({ disordered }) => disordered))} out of order, ` +
      `${sum(followers.map(({ resets }) => resets))} resets, slowest restart ${Math.round(slowestRestart)} ms\n`,
  );
}

const NO_DIFFERENCE = { duplicates: 0, missing: 0, disordered: 0, invented: 0 };
const TIMEOUT_MS = (2 + ROUNDS) * HANG_MS;

test(
  `${CLIENTS} clients that reconnect receive every change once and in order, over ${ROUNDS} kill -9`,
  async () => {
    const writing = new Writing('');
    const followers = Array.from({ length: CLIENTS }, (_, i) => new Follower(new Random(100 + i)));
    const outcome = await run({}, writing, followers);
    const logged = outcome.logged!;
    const found = followers.map((follower) => differencesOf(follower, logged));
    report('watch', followers, found, writing, outcome);
    expect(followers.map(({ isComplete, resets }) => ({ isComplete, resets }))).toEqual(
      followers.map(() => ({ isComplete: true, resets: 0 })),
    );
    expect(found).toEqual(found.map(() => NO_DIFFERENCE));
    const known = new Set(logged);
    expect(writing.tags.filter((tag) => !known.has(tag))).toEqual([]);
    for (const { state, connections } of followers) {
      expect(state).toEqual(outcome.state);
      expect(connections).toBeGreaterThan(ROUNDS);
    }
  },
  TIMEOUT_MS,
);

longTest(
  `${CLIENTS} clients that stay away longer than the log reaches back receive a reset, over ${ROUNDS} kill -9`,
  async () => {
    const writing = new Writing(LONG_VALUE);
    const absences = new Map<number, number>();
    const followers = Array.from({ length: CLIENTS }, (_, i) => {
      const random = new Random(200 + i);
      return new Follower(random, async () => {
        if (absences.has(i) && !random.chance(0.05)) return;
        const wasLong = await writing.until(writing.done + ABSENCE_WRITES);
        absences.set(i, (absences.get(i) ?? 0) + Number(wasLong));
      });
    });
    const outcome = await run(SHORT_LOG, writing, followers);
    // The log is too short for all changes: they are the acknowledged ones and those that any follower received.
    const received = followers.flatMap(({ stretches }) =>
      stretches.flatMap(({ changes }) => changes.map(({ id }) => id)),
    );
    const truth = [...new Set([...writing.tags, ...received])].sort();
    const found = followers.map((follower) => differencesOf(follower, truth));
    report('watch, outside the log', followers, found, writing, outcome);
    expect(outcome.logged).toBeUndefined();
    expect(found).toEqual(found.map(() => NO_DIFFERENCE));
    for (const [i, { isComplete, resets, state }] of followers.entries()) {
      expect({ isComplete, state }).toEqual({ isComplete: true, state: outcome.state });
      expect(resets).toBeGreaterThanOrEqual(absences.get(i)!);
      expect(resets).toBeGreaterThan(0);
    }
  },
  TIMEOUT_MS,
);
