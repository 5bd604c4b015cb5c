import { randomBytes } from 'node:crypto';
import { ClientClosedError, ClientOfflineError, ErrorReply, RedisClient, RESP_TYPES } from '@redis/client';
import { nameOf, type HostPort, type RedisAddress } from './redis-url.js';

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

const CONNECT_WITHIN_MS = 2_000;
/** A server that says nothing for so long, though it is asked, is taken for dead. */
const SILENT_MS = 3_000;
const LOOK_EVERY_MS = 500;
const LONGEST_PAUSE_MS = 1_000;
/** Commands that wait for one server; more are refused. */
const MAX_PENDING = 20_000;
/** What this process calls itself, so that servers that share a database can count each other. */
export const OWN_NAME = `pigeonhole-${randomBytes(6).toString('hex')}`;
/** Finds such names in what CLIENT LIST says. */
export const CLIENT_NAME = /(?<= name=)(pigeonhole-[0-9a-f]{12})(?= )/g;
const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const VERSION = { RESP: 2 } as const;
/** Made once: the library's createClient makes a class with all its commands for every address, some 15 ms each. */
const newClient = RedisClient.factory(VERSION);

function makeClient(address: RedisAddress, { host, port }: HostPort) {
  const socket = {
    host,
    port,
    connectTimeout: CONNECT_WITHIN_MS,
    // For ever: the library's own strategy gives up after a timeout.
    reconnectStrategy: (retries: number) =>
      Math.min(LONGEST_PAUSE_MS, 2 ** retries * 20) * (0.5 + Math.random() / 2),
  };
  const options = {
    ...VERSION,
    socket: address.tls ? { ...socket, tls: true as const, servername: host } : socket,
    username: address.username,
    password: address.password,
    database: address.database,
    name: OWN_NAME,
    // It is unbounded, and keeps what nobody waits for any more.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_PENDING,
    commandOptions: { typeMapping: BYTES, timeout: undefined },
    maintNotifications: 'disabled' as const,
    disableClientInfo: true,
  };
  return newClient(options);
}

type Client = ReturnType<typeof makeClient>;

/**
 * The connection to one server, which is made again for as long as it is needed.
 *
 * Problem: the library's timeout covers only commands it has not written yet, and a socket's is put off by every write, so
 * that a server that is stopped while others write to it would never be noticed. Design: while commands wait and nothing
 * has been heard for 3 s, the connection is given up and made anew. Guarantee: a command is answered, or fails as never
 * sent or as lost, within 4 s.
 */
export class Connection {
  readonly name: string;
  private client: Client;
  private pending = 0;
  /** When something was last heard, or the first of those that wait was sent. */
  private heard = 0;
  private closed = false;
  private lastError: Error | undefined;
  private readonly watchdog: NodeJS.Timeout;
  private replicated: Promise<number> | undefined;

  constructor(
    private readonly address: RedisAddress,
    readonly at: HostPort,
  ) {
    this.name = nameOf(at);
    this.client = this.connect();
    this.watchdog = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  get isReady(): boolean {
    return this.client.isReady;
  }

  /** What last went wrong, for whoever waits for the connection. */
  get failure(): Error | undefined {
    return this.lastError;
  }

  /** @throws ConnectionError, ErrorReply */
  async send(args: readonly (string | Buffer)[]): Promise<Reply> {
    if (!this.client.isReady) throw new ConnectionError('not-sent', this.lastError ?? 'not connected');
    if (this.pending++ === 0) this.heard = performance.now();
    try {
      return (await this.client.sendCommand(args)) as Reply;
    } catch (error) {
      throw error instanceof ErrorReply
        ? error
        : new ConnectionError(isUnsent(error) ? 'not-sent' : 'lost', error);
    } finally {
      this.pending--;
      this.heard = performance.now();
    }
  }

  /** The same on the other side of an ASK: the two are written back to back, so nothing comes between them. */
  async ask(args: readonly (string | Buffer)[]): Promise<Reply> {
    const [, reply] = await Promise.all([this.send(['ASKING']), this.send(args)]);
    return reply;
  }

  /**
   * How many replicas have what was written on this connection before the call. One WAIT serves all who ask while another
   * is under way: it covers everything sent before it.
   */
  async replicas(count: number, within: number): Promise<number> {
    const under = this.replicated;
    if (under) {
      await under.catch(() => undefined);
      if (this.replicated && this.replicated !== under) return this.replicated;
    }
    const asked = this.send(['WAIT', String(count), String(within)]) as Promise<number>;
    const clear = () => {
      if (this.replicated === asked) this.replicated = undefined;
    };
    this.replicated = asked;
    asked.then(clear, clear);
    return asked;
  }

  /** A connection of its own that listens to sharded channels; it ends when the server or the channel goes away. */
  async subscribe(
    channels: readonly string[],
    listener: (channel: string, message: string) => void,
    gone: () => void,
  ): Promise<() => void> {
    const client = makeClient(this.address, this.at);
    client.on('error', gone).on('sharded-channel-moved', gone);
    try {
      await client.connect();
      for (const channel of channels)
        await client.sSubscribe(channel, (message) => listener(channel, message));
    } catch (error) {
      client.destroy();
      throw error;
    }
    return () => client.destroy();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.watchdog);
    this.client.destroy();
  }

  private connect(): Client {
    const client = makeClient(this.address, this.at);
    client.on('error', (error: Error) => (this.lastError = error));
    client.on('ready', () => (this.lastError = undefined));
    client.connect().catch((error: Error) => (this.lastError = error));
    return client;
  }

  private look(): void {
    if (this.pending === 0 || performance.now() - this.heard < SILENT_MS) return;
    this.heard = performance.now();
    this.client.destroy();
    if (this.closed) return;
    this.lastError = new Error('the server does not answer');
    this.client = this.connect();
  }
}

function isUnsent(error: unknown): boolean {
  if (error instanceof ClientOfflineError || error instanceof ClientClosedError) return true;
  return error instanceof Error && error.message === 'The queue is full';
}
