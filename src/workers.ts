import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { WORKER_NUMBER } from './config/worker.js';
import { ServerLogger } from './http/server/server-logger.js';

/** A second more than a worker gives its last requests. */
const STOP_WITHIN_MS = 10_000;
const START_WITHIN_MS = 60_000;
/** A worker that served for less than this is not replaced at once. */
const TOO_SOON_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const logger = new Logger('Workers');

/**
 * Serves from several processes, which share one port and one store.
 *
 * This process only looks after them. It starts the first, which makes the store or says why it cannot, and then the
 * others. It replaces one that ends, and goes on with those that serve while a replacement cannot start; if nobody serves
 * and nobody can start, the server ends. On SIGTERM and SIGINT it has all of them stop and ends last. Should it be killed
 * itself, Node ends its workers at once, as if the whole server had been killed.
 */
export async function superviseWorkers({ workers, logLevel, host, port }: AppConfig): Promise<void> {
  Logger.overrideLogger(new ServerLogger(logLevel));
  // If each looked for a free port itself, workers that start after the death of all others would find a different one.
  if (port === 0) process.env['PORT'] = String(await freePort(host));
  // A command line that was given is in the environment by now.
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.resolve('./main.js')), args: [] });
  const team = new Team(workers);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => team.stopOn(signal));
  await team.work();
}

/** A port that is free now; 0 where nothing can listen, which the first worker then explains. */
async function freePort(host: string): Promise<number> {
  const server = net.createServer().listen(0, host);
  const failed = await once(server, 'listening').catch((error: Error) => error);
  if (failed instanceof Error) return 0;
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/**
 * Ends the connection that was on its way to a worker at its death.
 *
 * Node hands over one at a time and closes its own end only when the worker has taken it: it would stay open for ever, and its
 * client would wait for an answer that nobody gives. As it is, the client is cut off, and none of its requests was read.
 */
function endHandoverWith(worker: Worker): void {
  const child = worker.process;
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  let handedOver: Handle | undefined;
  child.send = (...args: unknown[]) => {
    const handle = args[1] as Handle | undefined;
    if (handle) owners.set((handedOver = handle), worker);
    return send(...args);
  };
  worker.once('exit', () => {
    // One that the worker has refused is another's by now.
    if (handedOver && owners.get(handedOver) === worker) handedOver.close();
  });
}

/** A connection below `net.Socket`, as Node's cluster passes it; to close it twice is nothing. */
interface Handle {
  close(): void;
}

const owners = new WeakMap<Handle, Worker>();

/** How a worker came to its end. */
interface End {
  readonly pid: number | undefined;
  readonly code: number | null;
  readonly why: string;
  readonly hasServed: boolean;
  /** Milliseconds. */
  readonly age: number;
}

class Team {
  private readonly alive = new Set<Worker>();
  private readonly serving = new Set<Worker>();
  private readonly stopping = new AbortController();
  private hasServed = false;

  constructor(private readonly size: number) {}

  /** Ends with the last worker. */
  async work(): Promise<void> {
    cluster.once('listening', () => {
      for (let number = 2; number <= this.size; number++) void this.keepPlace(number);
    });
    await this.keepPlace(1);
  }

  stopOn(signal: NodeJS.Signals): void {
    if (this.stopping.signal.aborted) return;
    logger.log(`Stopping on ${signal}: requests under way finish, within ${STOP_WITHIN_MS / 1000} s`);
    process.once('exit', () => logger.log('Stopped'));
    this.stop();
  }

  private stop(): void {
    this.stopping.abort();
    for (const worker of this.alive) worker.process.kill('SIGTERM');
    setTimeout(() => this.cutOff(), STOP_WITHIN_MS).unref();
  }

  private cutOff(): void {
    logger.warn(`${this.alive.size} workers have not stopped in time and are cut off`);
    process.exitCode = 1;
    for (const worker of this.alive) worker.process.kill('SIGKILL');
  }

  /** Has one worker after the other until the server stops. */
  private async keepPlace(number: number): Promise<void> {
    const { signal } = this.stopping;
    for (let failures = 0; !signal.aborted;) {
      const end = await this.employ(number);
      if (signal.aborted) return;
      if (this.isHopeless(end)) return this.giveUp(end);
      failures = end.hasServed ? 0 : failures + 1;
      const rest = end.hasServed && end.age > TOO_SOON_MS ? 0 : TOO_SOON_MS * 2 ** failures;
      logger.warn(`Worker ${end.pid} has ended (${end.why}); another takes its place`);
      await pause(Math.min(rest, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined);
    }
  }

  /** One that was killed where others could serve before says nothing about the next. */
  private isHopeless({ hasServed, code }: End): boolean {
    return !hasServed && this.alive.size === 0 && (code !== null || !this.hasServed);
  }

  /** Starts a worker and waits for its end. */
  private employ(number: number): Promise<End> {
    const startedAt = performance.now();
    let hasServed = false;
    const worker = cluster.fork({ [WORKER_NUMBER]: String(number) });
    endHandoverWith(worker);
    const { pid } = worker.process;
    this.alive.add(worker);
    // Others serve meanwhile; of the first nobody knows how long it takes to look through the store.
    const overdue =
      this.serving.size > 0 && setTimeout(() => worker.process.kill('SIGKILL'), START_WITHIN_MS);
    worker.once('listening', () => {
      hasServed = this.hasServed = true;
      this.serving.add(worker);
      clearTimeout(overdue || undefined);
      if (this.serving.size === this.size) logger.log(`All ${this.size} workers serve`);
    });
    return new Promise((resolve) => {
      const settle = (code: number | null, why: string): void => {
        this.alive.delete(worker);
        this.serving.delete(worker);
        clearTimeout(overdue || undefined);
        resolve({ pid, code, why, hasServed, age: performance.now() - startedAt });
      };
      worker.once('exit', (code: number | null, signal) => settle(code, signal ?? `code ${code}`));
      // Of one that could not even be forked there is no exit.
      worker.on('error', (error) => {
        if (pid === undefined) settle(null, error.message);
      });
    });
  }

  /** A worker that ends with a code has said why. */
  private giveUp({ code, why }: End): void {
    if (code === null) logger.fatal(`No worker could be started (${why}), so the server ends`);
    process.exitCode = code || 1;
    this.stop();
  }
}
