import { expect } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Cli } from '../support/cli.js';
import { eventually } from '../support/eventually.js';
import { put } from '../support/kv.js';
import { longTest, rounds } from '../support/long-run.js';
import { Random } from '../support/random.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A round is some writes, and then the end of the server, of the watch, or of both. */
const ROUNDS = rounds(5) * 10;
const MOST_WRITES = 30;
const KEYS = 7;

interface Heard {
  readonly etag: string;
}

/** A server and a `watch --exec --state` of it, both of which are killed and started again. */
class Watched {
  readonly folder = temporaryFolder();
  /** Tags of the writes that were answered. */
  readonly written: string[] = [];
  kills = 0;
  private server!: ServerProcess;
  private port = '0';
  private watch!: Cli;

  async startServer(): Promise<void> {
    const settings = { DATABASE_URL: `lmdb:${join(this.folder, 'data')}`, PORT: this.port };
    this.server = await startServer(settings);
    this.port = String(this.server.port);
  }

  startWatch(): void {
    const run = ['--exec', 'cat >> heard', '--state', 'state'];
    const env = { PIGEONHOLE_URL: `http://127.0.0.1:${this.port}` };
    this.watch = new Cli(['watch', '--prefix', 'job/', ...run], env, this.folder);
  }

  async killServer(): Promise<void> {
    await this.server.end();
    await this.startServer();
  }

  async killWatch(): Promise<void> {
    this.watch.signal('SIGKILL');
    await this.watch.ended;
    this.kills++;
    this.startWatch();
  }

  async write(key: string, value: string): Promise<void> {
    const { status, headers } = await put(this.server.port, key, value);
    expect(status).toBeLessThan(300);
    this.written.push(headers.etag!.slice(1, -1));
  }

  /** What the command was told, in order. */
  heard(): Heard[] {
    const file = join(this.folder, 'heard');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line) as Heard);
  }

  async end(): Promise<void> {
    this.watch.signal('SIGINT');
    await this.watch.ended;
    await this.server.end('SIGTERM');
  }
}

longTest(
  'watch --exec --state misses no change over kills of both sides, and repeats only what was under way',
  async () => {
    const random = new Random(1);
    const watched = new Watched();
    await watched.startServer();
    watched.startWatch();
    await eventually(() => existsSync(join(watched.folder, 'state')));
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = random.below(MOST_WRITES); i >= 0; i--)
        await watched.write(`job/${random.below(KEYS)}`, `${round} ${i}`);
      await pause(random.below(200));
      if (random.chance(0.5)) await watched.killServer();
      if (random.chance(0.6)) await watched.killWatch();
    }
    const last = watched.written.at(-1)!;
    await eventually(() => watched.heard().some(({ etag }) => etag === last));
    const tags = watched.heard().map(({ etag }) => etag);
    const missed = watched.written.filter((tag) => !tags.includes(tag));
    expect(missed).toEqual([]);
    const inOrder = tags.filter((tag, i) => tag !== tags[i - 1]);
    expect(inOrder).toEqual(inOrder.toSorted());
    expect(tags.length - inOrder.length).toBeLessThanOrEqual(watched.kills);
    await watched.end();
  },
);
