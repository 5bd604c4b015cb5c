import { ErrorReply } from '@redis/client';
import { Backlog } from './backlog.js';
import { ConnectionError, wasSent } from './connection-error.js';
import { endClient, makeClient, type Client } from './node-redis.js';
import { PendingCommands } from './pending-commands.js';
import { formatHostPort, type HostPort, type RedisUrl } from './redis-url.js';
import { ReplicaWaits } from './replica-waits.js';
import { ServerClock } from './server-clock.js';
import { subscribe } from './subscription.js';

/** A reply of Redis: bulk strings are bytes, integers are numbers, nil is null. */
export type Reply = Buffer | string | number | null | readonly Reply[];

/** A Lua script that runs inside Redis. */
export interface Script {
  readonly source: string;
  /** The SHA-1 of the source, by which EVALSHA calls it. */
  readonly sha: string;
}

/** How long a command may take before its caller gets an error. */
export const COMMAND_TIMEOUT_MS = 5_000;
const CHECK_EVERY_MS = 250;
/** 3 s: a server that sends nothing for so many checks, while commands wait, is taken for dead. */
const MAX_SILENT_CHECKS = 12;
/** Half a second to three quarters: after so many the server counts as away, which matters where none can replace it. */
const AWAY_CHECKS = 3;
/** How long a server may be without a connection, or late with a reply, before it counts as away. */
export const AWAY_AFTER_MS = 500;
/** 5 s: a command that waits for longer means that the server is too far behind to be of use. */
const MAX_CHECKS_WAITING = COMMAND_TIMEOUT_MS / CHECK_EVERY_MS;
/** The server is asked for its time once a second. */
const CHECKS_PER_TIME = 4;
const TIME_TIMEOUT_MS = 1_500;

export interface ConnectionOptions {
  /** Called with one line when the server is lost and when it is back. */
  readonly report: (line: string) => void;
  /** Whether writes wait for replicas. That holds up all later commands of a connection, so writes get their own. */
  readonly waitsForReplicas: boolean;
  /**
   * The connection beside which it carries large values. They take their time: only deadlines count here, and what arrives
   * shows that the server is there for that one too.
   */
  readonly bulkOf?: Connection;
  /** Returns milliseconds, from any start. */
  readonly monotonic: () => number;
}

/**
 * The connection to one server, which is made again whenever it ends.
 *
 * Problem: the library's timeout covers only commands that it has not written yet, and a socket's timeout restarts with
 * every write, so neither notices a server that is stopped while others write to it. Design: a check four times a second.
 * When commands wait and nothing has arrived for 3 s, or the oldest has waited for 5 s, the connection is dropped and made
 * again. A server that nobody can replace is given up sooner: when nothing has come from it for half a second or more, all
 * that waits for it fails. Guarantee: by its deadline a command has a reply, or fails as never sent or as sent; abandoned
 * commands do not pile up. Deadlines are on the clock of `performance`.
 */
export class Connection {
  readonly name: string;
  readonly backlog = new Backlog();
  /** The servers that can take its place; undefined if it is not known to be a primary of a cluster. */
  replicas: readonly Connection[] | undefined;
  readonly clock: ServerClock;
  /** Another one whenever the connection has been made again. */
  session: object = {};
  private client: Client;
  private readonly pending = new PendingCommands();
  /** Whether anything has arrived since the last check. */
  private received = false;
  private checks = 0;
  private silentChecks = 0;
  private closed = false;
  private wasReady = false;
  private lostAt = performance.now();
  private skew: string | undefined;
  private failure: Error | undefined;
  private readonly checker: NodeJS.Timeout;
  private readonly waits = new ReplicaWaits((args, deadline) => this.send(args, deadline));
  private readonly loading = new Map<string, Promise<Reply>>();
  private readonly writer: Connection | undefined;
  private bulk: Connection | undefined;

  constructor(
    private readonly url: RedisUrl,
    readonly address: HostPort,
    private readonly options: ConnectionOptions,
  ) {
    this.name = formatHostPort(address);
    this.clock = new ServerClock(options.monotonic);
    if (options.waitsForReplicas) this.writer = this.another({});
    this.client = this.connect();
    // After what has arrived meanwhile was read, so that a pause of this process does not count as one of the server.
    this.checker = setInterval(() => setImmediate(() => this.check()), CHECK_EVERY_MS).unref();
  }

  get isReady(): boolean {
    return this.client.isReady;
  }

  /** Whether the server has not answered for a while. */
  get isAway(): boolean {
    return this.isSilent || (!this.isReady && performance.now() - this.lostAt > AWAY_AFTER_MS);
  }

  /** Whether it has sent nothing for a while, or for longer than it may work on a large value. */
  private get isSilent(): boolean {
    if (this.silentChecks < AWAY_CHECKS) return false;
    const excused = this.bulk?.pending.excusedChecks ?? 0;
    return this.silentChecks >= Math.min(MAX_SILENT_CHECKS, AWAY_CHECKS + excused);
  }

  /** Whether it is a primary of a cluster whose place nobody can take. */
  get isAlone(): boolean {
    return this.replicas !== undefined && this.replicas.every(({ isAway }) => isAway);
  }

  /** Whether there is no use in waiting for it. */
  get isGone(): boolean {
    return this.isAway && this.isAlone;
  }

  /** Why the connection is not ready; undefined while it is, and before the first failure. */
  get lastError(): Error | undefined {
    return this.failure;
  }

  /** The connection that carries such commands. Large values have their own, so that small ones need not wait for them. */
  channelFor(write: boolean, isLarge: boolean): Connection {
    if (isLarge) return (this.bulk ??= this.another({ bulkOf: this }));
    return (write && this.writer) || this;
  }

  /** Sends a command. @param largeBytes of a value that it carries or returns @throws ConnectionError, ErrorReply */
  send(
    args: readonly (string | Buffer)[],
    deadline = performance.now() + COMMAND_TIMEOUT_MS,
    largeBytes = 0,
  ): Promise<Reply> {
    const { client, pending } = this;
    if (!client.isReady) return Promise.reject(new ConnectionError(false, this.failure ?? 'not connected'));
    return new Promise((resolve, reject) => {
      const command = { deadline, sentAt: this.checks, largeBytes, reject };
      pending.add(command);
      client.sendCommand(args).then(
        (reply) => {
          pending.remove(command);
          this.noteLife();
          resolve(reply as unknown as Reply);
        },
        (error: unknown) => {
          pending.remove(command);
          if (!(error instanceof ErrorReply)) return reject(new ConnectionError(wasSent(error), error));
          this.noteLife();
          reject(error);
        },
      );
    });
  }

  /** Asks the server for its time, milliseconds since 1970. */
  async readTime(): Promise<number> {
    const reply = await this.send(['TIME'], performance.now() + TIME_TIMEOUT_MS);
    const [seconds, microseconds] = (reply as Buffer[]).map(Number);
    const time = seconds! * 1000 + Math.floor(microseconds! / 1000);
    this.clock.learn(time);
    this.reportSkew();
    return time;
  }

  /** Sends a command that an ASK has redirected here. Nothing comes between the two, which are written back to back. */
  async sendAsking(args: readonly (string | Buffer)[], deadline: number, largeBytes: number): Promise<Reply> {
    const asking = this.send(['ASKING'], deadline);
    const [, reply] = await Promise.all([asking, this.send(args, deadline, largeBytes)]);
    return reply;
  }

  /** Loads a script into the server; callers at the same time share one load. */
  async loadScript({ sha, source }: Script, deadline: number): Promise<void> {
    let load = this.loading.get(sha);
    if (!load) {
      load = this.send(['SCRIPT', 'LOAD', source], deadline).finally(() => this.loading.delete(sha));
      this.loading.set(sha, load);
    }
    await load;
  }

  /** Waits for replicas, see ReplicaWaits. */
  waitForReplicas(count: number, timeout: number, deadline: number): Promise<number> {
    return this.waits.wait(count, timeout, deadline);
  }

  /** Subscribes to sharded channels of this server, see `subscribe`. */
  subscribe(
    channels: readonly string[],
    onMessage: (channel: string, message: string) => void,
    onEnd: () => void,
  ): () => void {
    return subscribe(makeClient(this.url, this.address, false), channels, onMessage, onEnd);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.checker);
    endClient(this.client);
    this.others.forEach((each) => each.close());
  }

  /** Closes at once if no command is pending, else when every pending one has met its deadline. */
  closeWhenIdle(): void {
    const latest = Math.max(...[this, ...this.others].map(({ pending }) => pending.latestDeadline));
    if (latest === -Infinity) this.close();
    else setTimeout(() => this.close(), latest - performance.now()).unref();
  }

  /** The server has answered, so it is not away, however long it took. */
  private noteLife(): void {
    this.received = true;
    this.silentChecks = 0;
    this.options.bulkOf?.noteLife();
  }

  private get others(): Connection[] {
    return [this.writer, this.bulk].filter((each) => each !== undefined);
  }

  /** Another connection to the same server. */
  private another(options: Partial<ConnectionOptions>): Connection {
    const silent = { ...this.options, report: () => undefined, waitsForReplicas: false };
    return new Connection(this.url, this.address, { ...silent, ...options });
  }

  private connect(): Client {
    const client = makeClient(this.url, this.address, true);
    const onError = (error: Error) => {
      this.received = true;
      this.fail(error);
    };
    client.on('error', onError).on('ready', () => this.recover());
    client.connect().catch(onError);
    return client;
  }

  private recover(): void {
    if (this.wasReady && this.failure) this.options.report(`Redis at ${this.name} answers again.`);
    this.wasReady = true;
    this.session = {};
    this.failure = undefined;
    this.silentChecks = 0;
    this.learnTime();
  }

  private learnTime(): void {
    this.readTime().catch(() => undefined);
  }

  private reportSkew(): void {
    const before = this.skew;
    this.skew = this.clock.skew();
    if (this.skew && !before) this.options.report(`Redis at ${this.name}: ${this.skew}`);
  }

  private fail(error: Error): void {
    if (this.closed) return;
    if (!this.failure) this.lostAt = performance.now();
    if (this.wasReady && !this.failure)
      this.options.report(`Redis at ${this.name} is lost: ${error.message}.`);
    this.failure = error;
  }

  private check(): void {
    if (this.closed) return;
    this.checks++;
    this.pending.giveUp(performance.now());
    const { oldest } = this.pending;
    if (this.options.bulkOf) {
      if (oldest && performance.now() - oldest.deadline > CHECK_EVERY_MS) this.reconnect();
      return;
    }
    if (this.checks % CHECKS_PER_TIME === 0 && this.isReady) this.learnTime();
    const isAlive = this.received || (this.isReady && !oldest);
    this.received = false;
    this.silentChecks = isAlive ? 0 : this.silentChecks + 1;
    const isLate = oldest !== undefined && this.checks - oldest.sentAt > MAX_CHECKS_WAITING;
    if (this.isGone) for (const { pending } of [this, ...this.others]) pending.giveUp(Infinity);
    if (this.silentChecks > MAX_SILENT_CHECKS || isLate) this.reconnect();
  }

  private reconnect(): void {
    this.fail(new Error('it does not answer'));
    // It has been away for as long.
    this.lostAt -= this.silentChecks * CHECK_EVERY_MS;
    this.silentChecks = 0;
    endClient(this.client);
    this.client = this.connect();
    this.bulk?.reconnect();
  }
}
