import { ClientClosedError, ClientOfflineError, ErrorReply } from '@redis/client';
import { endClient, makeClient, type Client } from './node-redis.js';
import { nameOf, type HostPort, type RedisAddress } from './redis-url.js';
import { Backlog } from './backlog.js';
import type { Script } from './script.js';

/** An answer of Redis: bulk texts are bytes, integers numbers, nothing is null. */
export type Reply = Buffer | string | number | null | readonly Reply[];

/** How far a command that brought no answer has come. */
export type Fate = 'not-sent' | 'lost';

/** A command has no answer, because of the connection. */
export class ConnectionError extends Error {
  constructor(
    readonly fate: Fate,
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Within which a command is answered, one way or the other. */
export const DEADLINE_MS = 5_000;
const LOOK_EVERY_MS = 250;
/** A server that says nothing for so many looks, 3 s, though it is asked, is taken for dead, */
const SILENT_LOOKS = 12;
/** and one that is so far behind, 5 s, for as good as dead. */
const LATE_LOOKS = DEADLINE_MS / LOOK_EVERY_MS;

/** A command that was sent and has no answer. */
interface Waiting {
  /** When nobody waits any longer. */
  readonly due: number;
  /** At which look it was sent. */
  readonly since: number;
  readonly reject: (error: ConnectionError) => void;
}

export interface ConnectionOptions {
  /** Told, in a line, when the server is lost and when it is back. */
  readonly report: (line: string) => void;
  /** Whether writes wait for replicas. Such a wait holds up all behind it, so that writes get a connection of their own. */
  readonly waits: boolean;
}

/**
 * The connection to one server, which is made again for as long as it is needed.
 *
 * Problem: the library's timeout covers only commands it has not written yet, and a socket's is put off by every write, so
 * that a server that is stopped while others write to it would never be noticed. Design: four times a second the connection
 * is looked at; when commands wait and nothing has been heard for 3 s, or the first of them has waited for 5 s, it is given
 * up and made anew. Guarantee: a command is answered, or fails as never sent or as lost, when it is due; and what nobody
 * waits for any more does not pile up.
 */
export class Connection {
  readonly name: string;
  private client: Client;
  private readonly waiting = new Set<Waiting>();
  private heard = false;
  private looked = 0;
  private silentLooks = 0;
  private closed = false;
  private wasReady = false;
  private lastError: Error | undefined;
  private readonly looks: NodeJS.Timeout;
  private readonly report: (line: string) => void;
  private replicated: Promise<number> | undefined;
  private readonly loading = new Map<string, Promise<Reply>>();
  private readonly writer: Connection | undefined;
  /** For who counts what waits for this server. */
  readonly room = new Backlog();

  constructor(
    private readonly address: RedisAddress,
    readonly at: HostPort,
    { report, waits }: ConnectionOptions,
  ) {
    this.name = nameOf(at);
    this.report = report;
    if (waits) this.writer = new Connection(address, at, { report: () => undefined, waits: false });
    this.client = this.connect();
    // Behind what has arrived meanwhile, so that a pause of this process is not taken for one of the server.
    this.looks = setInterval(() => setImmediate(() => this.look()), LOOK_EVERY_MS).unref();
  }

  get isReady(): boolean {
    return this.client.isReady;
  }

  /** The connection for writes, or else for reads. */
  forWrites(write: boolean | undefined): Connection {
    return (write && this.writer) || this;
  }

  /** What last went wrong, for whoever waits for the connection. */
  get failure(): Error | undefined {
    return this.lastError;
  }

  /**
   * Sends a command.
   * @param due when nobody waits any longer, on the clock of `performance`
   * @throws ConnectionError, ErrorReply
   */
  send(args: readonly (string | Buffer)[], due = performance.now() + DEADLINE_MS): Promise<Reply> {
    const { client, waiting } = this;
    if (!client.isReady) {
      return Promise.reject(new ConnectionError('not-sent', this.lastError ?? 'not connected'));
    }
    return new Promise((resolve, reject) => {
      const one = { due, since: this.looked, reject };
      waiting.add(one);
      client.sendCommand(args).then(
        (reply) => {
          waiting.delete(one);
          this.heard = true;
          resolve(reply as unknown as Reply);
        },
        (error: unknown) => {
          waiting.delete(one);
          if (!(error instanceof ErrorReply)) return reject(new ConnectionError(fateOf(error), error));
          this.heard = true;
          reject(error);
        },
      );
    });
  }

  /** The same on the other side of an ASK: the two are written back to back, so nothing comes between them. */
  async ask(args: readonly (string | Buffer)[], due: number): Promise<Reply> {
    const [, reply] = await Promise.all([this.send(['ASKING'], due), this.send(args, due)]);
    return reply;
  }

  /** Makes a script known to the server; once for all who miss it at a time. */
  async load({ sha, source }: Script, due: number): Promise<void> {
    let load = this.loading.get(sha);
    if (!load) {
      load = this.send(['SCRIPT', 'LOAD', source], due).finally(() => this.loading.delete(sha));
      this.loading.set(sha, load);
    }
    await load;
  }

  /**
   * How many replicas have what was written on this connection before the call. One WAIT serves all who ask while another
   * is under way: it covers everything sent before it.
   */
  async replicas(count: number, within: number, due: number): Promise<number> {
    const under = this.replicated;
    if (under) {
      await under.catch(() => undefined);
      if (this.replicated && this.replicated !== under) return this.replicated;
    }
    const asked = this.send(['WAIT', String(count), String(within)], due) as Promise<number>;
    const clear = () => {
      if (this.replicated === asked) this.replicated = undefined;
    };
    this.replicated = asked;
    asked.then(clear, clear);
    return asked;
  }

  /**
   * Listens to sharded channels on a connection of its own. Answers how to stop.
   * @param gone told once when that ends by itself: the server, or one of the channels, has gone away
   */
  subscribe(
    channels: readonly string[],
    listener: (channel: string, message: string) => void,
    gone: () => void,
  ): () => void {
    const client = makeClient(this.address, this.at, false);
    let over = false;
    const stop = () => {
      over = true;
      endClient(client);
    };
    const fail = () => {
      if (over) return;
      stop();
      gone();
    };
    client.on('error', fail).on('sharded-channel-moved', fail);
    const subscribeAll = () =>
      Promise.all(
        channels.map((each) => client.sSubscribe(each, (message, channel) => listener(channel, message))),
      );
    client.connect().then(subscribeAll).catch(fail);
    return stop;
  }

  close(): void {
    this.closed = true;
    clearInterval(this.looks);
    endClient(this.client);
    this.writer?.close();
  }

  /** Closes once nobody waits any more, for a server that is needed no longer. */
  retire(): void {
    if (this.waiting.size === 0 && !this.writer?.waiting.size) this.close();
    else setTimeout(() => this.close(), DEADLINE_MS).unref();
  }

  private connect(): Client {
    const client = makeClient(this.address, this.at, true);
    const failed = (error: Error) => {
      this.heard = true;
      this.fail(error);
    };
    client.on('error', failed).on('ready', () => this.succeed());
    client.connect().catch(failed);
    return client;
  }

  private succeed(): void {
    if (this.wasReady && this.lastError) this.report(`Redis at ${this.name} answers again.`);
    this.wasReady = true;
    this.lastError = undefined;
  }

  private fail(error: Error): void {
    if (this.closed) return;
    if (this.wasReady && !this.lastError) this.report(`Redis at ${this.name} is lost: ${error.message}.`);
    this.lastError = error;
  }

  private look(): void {
    if (this.closed) return;
    this.looked++;
    const now = performance.now();
    for (const { due, reject } of this.waiting) {
      if (due <= now) reject(new ConnectionError('lost', 'no answer in time'));
    }
    const [first] = this.waiting;
    const isQuiet = this.heard || (this.isReady && !first);
    this.heard = false;
    this.silentLooks = isQuiet ? 0 : this.silentLooks + 1;
    if (this.silentLooks > SILENT_LOOKS || (first && this.looked - first.since > LATE_LOOKS)) this.renew();
  }

  private renew(): void {
    this.silentLooks = 0;
    this.fail(new Error('it does not answer'));
    endClient(this.client);
    this.client = this.connect();
  }
}

function fateOf(error: unknown): Fate {
  return error instanceof ClientOfflineError || error instanceof ClientClosedError ? 'not-sent' : 'lost';
}
