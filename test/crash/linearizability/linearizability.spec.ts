import { describe, expect, test } from '@jest/globals';
import { eventually, HANG_MS } from '../../support/eventually.js';
import { rounds } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { workersOf } from '../../support/workers.js';
import { Clients, keysOf } from './clients.js';
import { Findings } from './findings.js';

const HISTORIES = rounds(2);
const LENGTH = 2000;
const MAX_KILLS = 3;

/** A server that is killed, as a whole or one of its workers, and started again. */
class CrashingServer {
  private server!: ServerProcess;
  private readonly folder = temporaryFolder();
  private starting: Promise<void> | undefined;

  constructor(private readonly workers: number) {}

  get port(): number {
    return this.server.port;
  }

  async start(): Promise<void> {
    this.server = await startServer({ DATABASE_URL: `lmdb:${this.folder}`, WORKERS: String(this.workers) });
    await this.allServe();
  }

  /** Waits until the server and all its workers run. */
  async complete(): Promise<void> {
    await this.starting;
    await this.allServe();
  }

  kill(random: Random): void {
    const victims = this.workers === 1 ? [] : workersOf(this.server);
    const victim = random.chance(0.7) && victims.length > 0 ? random.pick(victims) : undefined;
    if (victim !== undefined) process.kill(victim, 'SIGKILL');
    else this.starting = this.server.end('SIGKILL').then(() => this.start());
  }

  private async allServe(): Promise<void> {
    if (this.workers > 1)
      await eventually(() => workersOf(this.server).length === this.workers, 'all workers');
  }

  async end(): Promise<void> {
    await this.starting;
    await this.server.end('SIGTERM');
  }
}

/** Records one history, in which the server is killed `kills` times. */
async function record(server: CrashingServer, seed: number, kills: number): Promise<Clients> {
  const random = new Random(seed);
  const clients = new Clients(random, keysOf(seed), LENGTH, true);
  const running = clients.run(() => server.port);
  for (let kill = 1; kill <= kills; kill++) {
    const at = (LENGTH * (kill - 1 + random.below(100) / 100)) / kills;
    await server.complete();
    await eventually(() => clients.sent >= Math.min(at, LENGTH - 100), 'enough requests');
    server.kill(random);
  }
  await running;
  await server.complete();
  return clients;
}

describe.each([1, 4])('%i processes', (workers) => {
  test(
    `${HISTORIES} histories of ${LENGTH} requests, half of them with kill -9, are linearizable`,
    async () => {
      const server = new CrashingServer(workers);
      await server.start();
      const found = new Findings();
      let kills = 0;
      for (let seed = 1; seed <= HISTORIES; seed++) {
        const killed = seed % 2 === 0 ? 1 + (seed % MAX_KILLS) : 0;
        found.add(await record(server, seed, killed));
        kills += killed;
      }
      await server.end();
      found.print(`linearizability, ${workers} processes`, `${kills} kills`);
      expect(found.wrong).toEqual([]);
      expect(found.operations).toBeGreaterThan((HISTORIES * LENGTH) / 2);
    },
    HANG_MS + HISTORIES * 60_000,
  );
});
