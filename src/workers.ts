import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { WORKER_SLOT } from './config/worker.js';
import { ServerLogger } from './http/server/server-logger.js';
import { stoppingLine } from './http/server/shutdown.js';
import { ReportExchange } from './metrics/report-exchange.js';
import { onReload, onStop } from './process.js';
import { lockStore } from './storage/engine-factory.js';

/** One second more than a worker allows its last requests. */
const STOP_DEADLINE_MS = 10_000;
const START_DEADLINE_MS = 60_000;
/** A worker that ends earlier than this after its start is not replaced at once. */
const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;
const logger = new Logger('Workers');

/**
 * Serves from several worker processes that share one port and one store.
 *
 * This process is their supervisor and serves no request. It owns the store, whose guests the workers are. It starts the
 * first worker, which creates the store or reports why it cannot, and then the others. It replaces a worker that ends.
 * While a replacement cannot start, the other workers serve; if none serves and none can start, the server ends. On a
 * signal to stop the supervisor stops all workers and ends last. If the supervisor is killed, Node ends its workers at
 * once.
 */
export async function superviseWorkers({
  workers,
  logLevel,
  logFormat,
  host,
  port,
  databaseUrl,
  shutdownDelay,
}: AppConfig): Promise<void> {
  Logger.overrideLogger(new ServerLogger({ logLevel, logFormat }));
  // Chosen here once, because workers that start after all others have died would find another free port.
  if (port === 0) process.env['PORT'] = String(await freePort(host));
  // The flags of the command line are in the environment already.
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.resolve('./main.js')), args: [] });
  const supervisor = new Supervisor(workers, shutdownDelay);
  onStop((signal) => supervisor.stopOn(signal));
  onReload(() => supervisor.reload());
  const lock = await lockStore(databaseUrl, (line) => logger.warn(line));
  await supervisor.run();
  lock?.release();
}

/** Returns a free port, or 0 if `host` cannot be listened on, which the first worker then reports. */
async function freePort(host: string): Promise<number> {
  const server = net.createServer().listen(0, host);
  const failed = await once(server, 'listening').catch((error: Error) => error);
  if (failed instanceof Error) return 0;
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** How a worker ended. */
interface Exit {
  readonly pid: number | undefined;
  /** Null if a signal ended it, or if it could not be started. */
  readonly code: number | null;
  readonly reason: string;
  readonly hasServed: boolean;
  /** Time since its start, milliseconds. */
  readonly age: number;
}

/** Keeps one worker in each of its slots. */
class Supervisor {
  private readonly running = new Set<Worker>();
  private readonly serving = new Set<Worker>();
  private readonly stopping = new AbortController();
  private readonly reports = new ReportExchange();
  private hasServed = false;

  /** @param delay for which workers go on serving when they are to stop, ms */
  constructor(
    private readonly slots: number,
    private readonly delay: number,
  ) {}

  /** Resolves when the last worker has ended. */
  async run(): Promise<void> {
    const others: Promise<void>[] = [];
    cluster.once('listening', () => {
      for (let slot = 2; slot <= this.slots; slot++) others.push(this.runSlot(slot));
    });
    await this.runSlot(1);
    await Promise.all(others);
  }

  stopOn(signal: NodeJS.Signals): void {
    if (this.stopping.signal.aborted) return;
    logger.log(stoppingLine(signal, this.delay, STOP_DEADLINE_MS), { signal });
    process.once('exit', () => logger.log('Stopped'));
    this.stop();
  }

  /** Has the workers read the certificates again. */
  reload(): void {
    for (const worker of this.running) worker.process.kill('SIGHUP');
  }

  private stop(): void {
    this.stopping.abort();
    for (const worker of this.running) worker.process.kill('SIGTERM');
    setTimeout(() => this.killRunning(), this.delay + STOP_DEADLINE_MS).unref();
  }

  private killRunning(): void {
    const workers = [...this.running].map(({ process: { pid } }) => pid);
    logger.warn(`${workers.length} workers have not stopped in time and are killed`, { workers });
    process.exitCode = 1;
    for (const worker of this.running) worker.process.kill('SIGKILL');
  }

  /** Runs one worker after the other in a slot, until the server stops. */
  private async runSlot(slot: number): Promise<void> {
    const { signal } = this.stopping;
    for (let failures = 0; !signal.aborted;) {
      const exit = await this.runWorker(slot);
      if (signal.aborted) return;
      if (this.isFatal(exit)) return this.fail(exit);
      failures = exit.hasServed ? 0 : failures + 1;
      const backoff = exit.hasServed && exit.age > MIN_BACKOFF_MS ? 0 : MIN_BACKOFF_MS * 2 ** failures;
      const members = { worker: exit.pid, slot, code: exit.code, reason: exit.reason };
      logger.warn(`Worker ${exit.pid} has ended (${exit.reason}); another takes its place`, members);
      await pause(Math.min(backoff, MAX_BACKOFF_MS), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Starts a worker and waits until it ends. */
  private runWorker(slot: number): Promise<Exit> {
    const startedAt = performance.now();
    let hasServed = false;
    const worker = cluster.fork({ [WORKER_SLOT]: String(slot) });
    closeLostConnection(worker);
    const { pid } = worker.process;
    this.running.add(worker);
    // The first worker has no deadline, because it may have to read the whole store.
    const deadline =
      this.serving.size > 0 && setTimeout(() => worker.process.kill('SIGKILL'), START_DEADLINE_MS);
    worker.once('listening', () => {
      hasServed = this.hasServed = true;
      this.serving.add(worker);
      this.reports.follow(worker);
      clearTimeout(deadline || undefined);
      if (this.serving.size === this.slots)
        logger.log(`All ${this.slots} workers serve`, { workers: this.slots });
    });
    return new Promise((resolve) => {
      const settle = (code: number | null, reason: string): void => {
        this.running.delete(worker);
        this.serving.delete(worker);
        clearTimeout(deadline || undefined);
        resolve({ pid, code, reason, hasServed, age: performance.now() - startedAt });
      };
      worker.once('exit', (code: number | null, signal) => settle(code, signal ?? `code ${code}`));
      // A worker that could not be forked has no exit.
      worker.on('error', (error) => {
        if (pid === undefined) settle(null, error.message);
      });
    });
  }

  /**
   * Whether no replacement can be expected to start. A kill says nothing about that if workers have served before, and
   * neither does 0, with which a worker ends that was told to.
   */
  private isFatal({ hasServed, code }: Exit): boolean {
    return !hasServed && this.running.size === 0 && (code === null ? !this.hasServed : code !== 0);
  }

  /** Ends the server. A worker that ended with a code has reported why. */
  private fail({ code, reason }: Exit): void {
    if (code === null) logger.fatal(`No worker could be started (${reason}), so the server ends`, { reason });
    process.exitCode = code || 1;
    this.stop();
  }
}

/**
 * Closes the connection that was being passed to a worker when the worker ended.
 *
 * Node passes one connection at a time and closes its own end only when the worker has accepted it. Otherwise the
 * connection would stay open and its client would wait for ever. No request of it has been read.
 */
function closeLostConnection(worker: Worker): void {
  const child = worker.process;
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  let last: Handle | undefined;
  child.send = (...args: unknown[]) => {
    // A message of ours has what is called back in this place.
    const handle = typeof args[1] === 'function' ? undefined : (args[1] as Handle | undefined);
    if (handle) owners.set((last = handle), worker);
    return send(...args);
  };
  worker.once('exit', () => {
    // A connection that this worker refused belongs to another one.
    if (last && owners.get(last) === worker) last.close();
  });
}

/** A connection as Node's cluster passes it, below `net.Socket`. Closing it twice does nothing. */
interface Handle {
  close(): void;
}

const owners = new WeakMap<Handle, Worker>();
