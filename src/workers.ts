import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { Logger } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { ServerLogger } from './http/server-logger.js';

const DEADLINE_MS = 12_000;
/** A worker that ended sooner is not replaced at once. */
const TOO_SOON_MS = 1_000;
/** So many in a row that never listened end the server. */
const MAX_FAILURES = 5;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const logger = new Logger('Workers');

/**
 * Serves from several processes, which share one port and one store.
 *
 * This process only looks after them: it starts the first, which makes the store or says why it cannot, then the others; it
 * replaces one that ends; and on SIGTERM and SIGINT it has all of them stop and ends last. Should it be killed itself, its
 * workers stop, so that none is left behind.
 */
export async function superviseWorkers({ workers, logLevel }: AppConfig): Promise<void> {
  Logger.overrideLogger(new ServerLogger(logLevel));
  const team = new Team();
  for (const signal of SIGNALS) process.on(signal, () => team.stop());
  await team.start(workers);
}

/** What a worker does with itself beyond serving: it ends when nobody looks after it any more. */
export function endWithSupervisor(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
}

/** Whether this process tells the user what all of them would. */
export function speaksForAll(): boolean {
  return cluster.isPrimary || cluster.worker!.id === 1;
}

class Team {
  private stopping = false;
  private failures = 0;

  async start(count: number): Promise<void> {
    const first = cluster.fork();
    const [code] = await Promise.race([once(first, 'listening').then(() => []), once(first, 'exit')]);
    if (code !== undefined || this.stopping) return this.endWith(first, Number(code ?? 0));
    this.watch(first);
    for (let i = 1; i < count && !this.stopping; i++) this.watch(cluster.fork());
  }

  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    for (const worker of all()) worker.process.kill('SIGTERM');
    setTimeout(() => {
      for (const worker of all()) worker.process.kill('SIGKILL');
    }, DEADLINE_MS).unref();
  }

  /** The first worker has said why it cannot serve, or was told to stop before it did. */
  private async endWith(first: Worker, code: number): Promise<void> {
    if (!first.isDead()) await once(first, 'exit');
    process.exitCode = code;
  }

  private watch(worker: Worker): void {
    const startedAt = performance.now();
    let listened = worker.isConnected() && worker.id === 1;
    worker.once('listening', () => (listened = true));
    worker.once('exit', (code, signal) => {
      if (this.stopping) return;
      this.failures = listened ? 0 : this.failures + 1;
      if (this.failures > MAX_FAILURES) return this.giveUp();
      logger.warn(
        `Worker ${worker.process.pid} has ended (${signal ?? `code ${code}`}); another takes its place`,
      );
      const pause = performance.now() - startedAt < TOO_SOON_MS ? TOO_SOON_MS : 0;
      setTimeout(() => {
        if (!this.stopping) this.watch(cluster.fork());
      }, pause);
    });
  }

  private giveUp(): void {
    logger.fatal(`${this.failures} workers in a row could not start, so the server ends`);
    process.exitCode = 1;
    this.stop();
  }
}

function all(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
}
