import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { giveWay } from '../../event-loop.js';
import { isSafe } from '../request/safe.js';
import type { ServingSocket } from './serving-socket.js';

/*
 * The requests of one connection take effect in the order they were sent (RFC 9112, 9.3.2).
 *
 * Problem: Node hands over every request as it arrives, also before those in front of it are answered. Two writes sent at
 * once could then be done in either order, and what follows an answer that ends the connection would be done without an
 * answer. Design: a request that finds another in front of it joins the connection's pipeline and begins when everything
 * before it is over. Reads do not wait for reads, unless those have made more than their client takes, or the time is up that
 * long work has of a turn of the event loop: a segment brings a thousand requests. Guarantee: nothing begins while something
 * before it may still write, and nothing after the last answer of a connection begins (9.6). A request without another in
 * front of it, which is nearly every one, costs a comparison.
 */

type Begin = (request: IncomingMessage, response: ServerResponse) => void;

/** As many requests may wait before no more of the connection is read. */
const MOST_WAITING = 16;
/** Bytes of answers that wait to be sent, beyond which no further read of the connection begins. */
const MOST_UNSENT = 256 * 1024;

const pipelines = new WeakMap<Socket, Pipeline>();

/** Begins a request, at once or when its turn has come. If the connection ends before, never. */
export function inOrder(request: IncomingMessage, response: ServerResponse, begin: Begin): void {
  const { socket } = request;
  // What has arrived together with a request is still handed over when its answer has ended the connection.
  if (!socket.writable) return;
  // Node gives an answer its socket when those before it are out.
  if (response.socket !== null) return begin(request, response);
  let pipeline = pipelines.get(socket);
  if (!pipeline) pipelines.set(socket, (pipeline = new Pipeline(socket)));
  pipeline.add(response, begin);
}

/** The requests of a connection that are under way, and those that wait. */
class Pipeline {
  /** How many have begun and are not over: one that writes, or any number that read. */
  private running = 0;
  /** Bytes of the answers that those have made at once. */
  private unsent = 0;
  /** The last that has begun. */
  private last!: ServerResponse;
  private waiting: { readonly response: ServerResponse; readonly begin: Begin }[] = [];
  /** Whether others have their turn before the next begins. */
  private isResting = false;

  constructor(private readonly socket: ServingSocket) {
    this.enter(socket._httpMessage!, () => undefined);
    socket.on('resume', this.hold);
  }

  add(response: ServerResponse, begin: Begin): void {
    this.waiting.push({ response, begin });
    this.advance();
    this.hold();
  }

  private enter(response: ServerResponse, begin: () => void): void {
    this.running++;
    this.last = response;
    let unsent = 0;
    response.once('finish', () => {
      this.running--;
      this.unsent -= unsent;
      this.advance();
    });
    begin();
    unsent = response.writableLength;
    this.unsent += unsent;
  }

  private advance(): void {
    const wasFull = this.isFull;
    // Node has ended the connection if the answer that is out was its last.
    if (!this.socket.writable) this.waiting = [];
    while (this.waiting.length > 0 && this.mayBegin(this.waiting[0]!.response)) {
      const { response, begin } = this.waiting.shift()!;
      this.enter(response, () => begin(response.req, response));
      // After one has begun, not before: of many connections each would give way to the next for ever.
      const othersFirst = giveWay();
      if (othersFirst) this.rest(othersFirst);
    }
    if (wasFull && !this.isFull) this.socket.resume();
    if (this.running === 0 && this.waiting.length === 0) this.leave();
  }

  private rest(othersFirst: Promise<void>): void {
    this.isResting = true;
    void othersFirst.then(() => {
      this.isResting = false;
      this.advance();
    });
  }

  private mayBegin({ req }: ServerResponse): boolean {
    if (this.isResting) return false;
    if (this.running === 0) return true;
    return this.unsent <= MOST_UNSENT && reads(req) && reads(this.last.req) && this.last.shouldKeepAlive;
  }

  private get isFull(): boolean {
    return this.waiting.length >= MOST_WAITING;
  }

  /** Reads no more of the connection while too many wait, however often Node would go on. */
  private readonly hold = (): void => {
    if (this.isFull) this.socket.pause();
  };

  private leave(): void {
    pipelines.delete(this.socket);
    this.socket.off('resume', this.hold);
  }
}

/** Whether the request only reads. A target that is a URL has not been taken apart yet, so that it may be any. */
function reads(request: IncomingMessage): boolean {
  return request.url!.startsWith('/') && isSafe(request);
}
