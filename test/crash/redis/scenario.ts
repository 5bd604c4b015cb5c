import { expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import { ask } from '../../support/http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { Load, type Findings } from './load.js';

/** Ten times what it takes on a machine that does nothing else. */
const SLOWEST_ANSWER_MS = 60_000;
const MEMORY_EVERY_MS = 200;
const WARM_UP_MS = 1_000;

/** What a fault can use: the server and the load on it. */
export interface Scene {
  readonly server: ServerProcess;
  readonly load: Load;
  /** Returns the server's own memory (RssAnon), MiB. */
  readonly memoryNow: () => number;
  /** Waits until every writer has had a success, and records how long that takes. */
  readonly recovered: () => Promise<void>;
}

/**
 * Runs the built server under load while `fault` makes things fail, and prints the figures. Expects that no answer breaks a
 * rule, no refused write is stored, no counter is too high, and the server writes nothing to stderr and ends with 0.
 */
export async function underLoad(
  name: string,
  settings: Record<string, string>,
  writers: number,
  fault: (scene: Scene) => Promise<void>,
): Promise<Findings & { readonly load: Load }> {
  const server = await startServer(settings);
  // An earlier test may have used the same servers.
  expect((await ask(server.port, '/kv?confirm=all', { method: 'DELETE' })).status).toBe(200);
  const load = new Load(server.port, writers);
  const memory = new Memory(server.pid);
  let recoveryMs = 0;
  const recovered = async () => {
    recoveryMs = Math.max(recoveryMs, await load.recovery());
  };
  load.start();
  await pause(WARM_UP_MS);
  memory.begin();
  await fault({ server, load, recovered, memoryNow: () => memory.now() });
  await load.stop();
  const found = await load.check();
  const { stderr } = server.output();
  const memoryFigures = memory.end();
  const exit = await server.end('SIGTERM');
  process.stdout.write(
    `${name}, ${REDIS_PROGRAM.name}: ${load.figures()}, recovery ${Math.round(recoveryMs)} ms, ${memoryFigures}, ` +
      `${found.lost.length} keys and ${found.short} increments lost, ${found.refused.length} refused writes applied, ` +
      `${found.counters.length} counters too high\n`,
  );
  expect({ offences: [...load.offences].slice(0, 5), stderr: stderr.slice(0, 2000), exit }).toEqual({
    offences: [],
    stderr: '',
    exit: { code: 0, signal: null },
  });
  expect({ refused: found.refused, counters: found.counters }).toEqual({ refused: [], counters: [] });
  expect(load.slowestMs).toBeLessThan(SLOWEST_ANSWER_MS);
  return { ...found, load };
}

/** Samples the own memory of a process (RssAnon). */
class Memory {
  private before = 0;
  private peak = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly pid: number) {}

  begin(): void {
    this.before = this.peak = this.now();
    this.timer = setInterval(() => (this.peak = Math.max(this.peak, this.now())), MEMORY_EVERY_MS);
  }

  /** Returns the figures for the line that is printed. */
  end(): string {
    clearInterval(this.timer);
    return `RssAnon ${this.before} MiB before, ${this.peak} at most, ${this.now()} after`;
  }

  now(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)![1]) / 1024);
  }
}
