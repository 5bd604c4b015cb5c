import { afterAll } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Requests go to the upstream, answers come from it. */
export type Direction = 'request' | 'answer';

/** What one connection sends at once over a link that others share. */
const PIECE_BYTES = 16 * 1024;

const running = new Set<TcpProxy>();

afterAll(() => Promise.all([...running].map((proxy) => proxy.stop())));

/** Starts a proxy on a free loopback port for a port of this machine; it is stopped at the end of the test file. */
export async function startTcpProxy(upstream: number): Promise<TcpProxy> {
  const proxy = new TcpProxy(upstream);
  await proxy.start();
  running.add(proxy);
  return proxy;
}

/** A network with faults in front of one server. A fault concerns old and new connections and lasts until `restore`. */
export class TcpProxy {
  // Half-closed connections are passed on as such.
  private readonly server = createServer({ allowHalfOpen: true }, (client) => this.accept(client));
  private readonly open = new Set<Connection>();
  private readonly network = new Network();
  private dropping = false;

  constructor(private readonly upstream: number) {}

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.open.size;
  }

  /**
   * Every byte arrives so many milliseconds late, in both directions. What arrives together on a connection gets one
   * delay of its own from a function, and stays in order there, so that connections overtake one another.
   */
  delay(ms: number | (() => number)): void {
    this.network.delay = typeof ms === 'number' ? () => ms : ms;
  }

  /** All connections together carry so many bytes a second in each direction. */
  throttle(bytesPerSecond: number): void {
    this.network.bytesPerMs = bytesPerSecond / 1000;
  }

  /**
   * Resets the clients' side of every connection, new ones are accepted. What the clients have sent still arrives, as late
   * as the delay has it, and its answers are lost.
   */
  loseAnswers(): void {
    for (const connection of this.open) connection.loseAnswers();
  }

  /** Resets every connection, and new ones as soon as they are there. */
  drop(): void {
    this.dropping = true;
    for (const connection of this.open) connection.reset();
  }

  /** Accepts connections and never answers: nothing passes, no end either. What is held passes once restored. */
  blackHole(): void {
    this.network.hold();
  }

  /** Lets so many more bytes of each connection pass in that direction, and closes it in place of the next one. */
  cutAfter(bytes: number, direction: Direction = 'answer'): void {
    this.network.limit[direction] = bytes;
    for (const connection of this.open) connection[direction].left = bytes;
  }

  restore(): void {
    this.dropping = false;
    this.delay(0);
    this.throttle(Infinity);
    this.cutAfter(Infinity, 'request');
    this.cutAfter(Infinity, 'answer');
    this.network.release();
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    running.delete(this);
    this.drop();
    await new Promise((resolve) => this.server.close(resolve));
    this.network.release();
  }

  private accept(client: Socket): void {
    const upstream = connect({ port: this.upstream, host: '127.0.0.1', allowHalfOpen: true });
    const connection = new Connection(client, upstream, this.network);
    this.open.add(connection);
    client.on('close', () => this.open.delete(connection));
    if (this.dropping) connection.reset();
  }
}

/** What happens to the bytes of all connections. */
class Network {
  delay: () => number = () => 0;
  bytesPerMs = Infinity;
  private readonly freeAt: Record<Direction, number> = { request: 0, answer: 0 };
  readonly limit: Record<Direction, number> = { request: Infinity, answer: Infinity };
  /** Pending while nothing passes. */
  passable: Promise<void> = Promise.resolve();
  release: () => void = () => undefined;

  /** Waits as long as so many bytes take, after those that others have sent before. */
  async carry(bytes: number, direction: Direction): Promise<void> {
    if (this.bytesPerMs === Infinity) return;
    const now = performance.now();
    this.freeAt[direction] = Math.max(now, this.freeAt[direction]) + bytes / this.bytesPerMs;
    await sleep(this.freeAt[direction] - now);
  }

  hold(): void {
    this.release();
    this.passable = new Promise((resolve) => (this.release = resolve));
  }
}

class Connection {
  readonly request: Lane;
  readonly answer: Lane;

  constructor(
    private readonly client: Socket,
    private readonly upstream: Socket,
    network: Network,
  ) {
    this.request = new Lane(client, upstream, network, 'request');
    this.answer = new Lane(upstream, client, network, 'answer');
  }

  reset(): void {
    reset(this.client);
    reset(this.upstream);
  }

  loseAnswers(): void {
    this.answer.unpipe().resume();
    reset(this.client);
    this.request.end();
  }
}

/** One direction of a connection: bytes, ends and resets pass in order. */
class Lane extends Transform {
  private last: Promise<unknown> = Promise.resolve();
  private cut = false;
  /** Bytes that may still pass. */
  left: number;

  constructor(
    private readonly from: Socket,
    to: Socket,
    private readonly network: Network,
    private readonly direction: Direction,
  ) {
    super();
    this.left = network.limit[direction];
    from.setNoDelay().pipe(this).pipe(to);
    from.on('error', () => this.inOrder(() => reset(to)));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const { network, direction } = this;
    this.inOrder(async () => {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, at + PIECE_BYTES);
        await network.carry(piece.length, direction);
        this.deliver(piece);
      }
    });
    // More is only taken in while something passes, so that the sender feels it.
    void (network.bytesPerMs === Infinity ? network.passable : this.last).then(() => done());
  }

  override _flush(done: TransformCallback): void {
    this.inOrder(() => done());
  }

  private inOrder(pass: () => void | Promise<void>): void {
    const ms = this.network.delay();
    const late = ms > 0 ? sleep(ms) : undefined;
    this.last = this.last
      .then(() => late)
      .then(() => this.network.passable)
      .then(pass);
  }

  private deliver(chunk: Buffer): void {
    if (this.cut) return;
    const passing = chunk.subarray(0, this.left);
    this.left -= passing.length;
    this.push(passing);
    if (passing.length === chunk.length) return;
    this.cut = true;
    this.push(null);
    reset(this.from);
  }
}

/** Ends a connection by a reset, or without one where our end is already on its way, which Node cannot take back. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
