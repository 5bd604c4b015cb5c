import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { DatabaseError } from '../../errors.js';
import { underRead } from '../../storage/value-memory.js';
import { isSafe } from '../request/safe.js';
import { tcpSocketOf } from '../request/tcp-socket.js';

const CHECK_EVERY_MS = 1_000;
const MAX_IDLE_CHECKS = 30;
/** Answers up to here fit the buffers of the system, so they are not counted. */
const SMALL_BYTES = 64 * 1024;
const COUNT_AT = 1000;
/** A sixteenth of the budget is the largest value. */
const CROWDED = 15 / 16;

/** Node's handle of a connection. */
type HandledSocket = Socket & {
  readonly _handle?: { readonly bytesWritten: number; readonly writeQueueSize: number } | null;
};

/** How far the reader of a connection had come, and how many checks ago. */
interface Progress {
  taken: number;
  idleChecks: number;
}

/**
 * Bounds the bytes of answers that no reader has taken yet.
 *
 * Problem: an answer stays in memory until the system has taken it, and a client may ask for one large value after the
 * other and read none. Design: once a second every connection that has bytes to send is looked at, and ended if its reader
 * has taken none in 30 checks: checks are counted, not time, because nothing is sent while the event loop is held. Large
 * answers, and those that wait for another one on their connection, share a budget; a read that finds no space is refused
 * before its answer begins. A write has been applied, and an answer that streams has begun, so those are counted and never
 * refused. What is counted is
 * corrected once a second and before every refusal. An answer that is written in pieces counts as a whole until its last
 * one is written: who writes it holds the rest. A small answer costs two comparisons.
 */
class UnsentAnswers {
  private readonly connections = new Map<Socket, Progress>();
  /** The answers that are counted, each with the bytes of which it is made until it is written. */
  private readonly answers = new Map<ServerResponse, number>();
  /** Of `answers`: never less than what is unsent. */
  private bytes = 0;
  /** How many answers are held before those that have been sent are let go. */
  private countAt = COUNT_AT;
  private isCounted = false;

  /** @param limit bytes; an answer that is larger is sent when it is the only one */
  constructor(
    server: Server,
    private readonly limit: number,
  ) {
    const checker = setInterval(() => this.check(), CHECK_EVERY_MS).unref();
    server.once('close', () => clearInterval(checker));
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.connections.set(socket, { taken: 0, idleChecks: 0 });
      socket.once('close', () => this.connections.delete(socket));
    });
  }

  add(response: ServerResponse, bytes: number, isRead: boolean): void {
    if (response.req.method === 'HEAD') return;
    const before = this.answers.get(response) ?? 0;
    if (isRead && !response.headersSent && !this.fits(bytes, before)) throw this.refusal();
    this.answers.set(response, bytes);
    this.bytes += bytes - before;
    if (this.answers.size > this.countAt) this.count();
  }

  forget(response: ServerResponse): void {
    this.bytes -= this.answers.get(response) ?? 0;
    this.answers.delete(response);
  }

  /** Whether the largest value might not fit beside those that are being read. */
  get isCrowded(): boolean {
    return this.bytes + underRead.bytes > this.limit * CROWDED;
  }

  refuseUnlessFits(bytes: number): void {
    if (bytes > SMALL_BYTES && !this.fits(bytes)) throw this.refusal();
  }

  refuseIfFull(): void {
    if (!this.fits(SMALL_BYTES)) throw this.refusal();
  }

  /** Whether there is space for `bytes` in the place of `before`, which are counted already. */
  private fits(bytes: number, before = 0): boolean {
    if (this.bytes - before + bytes <= this.limit) return true;
    if (!this.isCounted) this.countInTurn();
    const others = this.bytes - before;
    return others <= 0 || others + bytes <= this.limit;
  }

  /** Counts once in a turn of the event loop, because nothing more is sent until it ends. */
  private countInTurn(): void {
    this.count();
    this.isCounted = true;
    setImmediate(() => (this.isCounted = false));
  }

  private count(): void {
    this.bytes = 0;
    for (const [response, held] of this.answers) {
      const unwritten = response.writableEnded ? 0 : held;
      const unsent = response.req.socket.destroyed ? 0 : unwritten + response.writableLength;
      if (unsent === 0) this.answers.delete(response);
      this.bytes += unsent;
    }
    this.countAt = Math.max(COUNT_AT, 2 * this.answers.size);
  }

  private check(): void {
    this.count();
    for (const [socket, progress] of this.connections) {
      const taken = socket.writableLength > 0 ? takenFrom(socket) : -1;
      progress.idleChecks = taken >= 0 && taken === progress.taken ? progress.idleChecks + 1 : 0;
      progress.taken = taken;
      if (progress.idleChecks >= MAX_IDLE_CHECKS) socket.destroy();
    }
  }

  private refusal(): DatabaseError {
    return new DatabaseError(
      'busy',
      `Answers that their readers have not taken fill the memory for them, ${this.limit} bytes. Try again.`,
      { limit: this.limit, setting: 'MAX_VALUE_BYTES' },
    );
  }
}

/** Returns how many bytes the system has taken to send. */
function takenFrom(socket: Socket): number {
  const { _handle } = tcpSocketOf(socket) as HandledSocket;
  return _handle ? _handle.bytesWritten - _handle.writeQueueSize : -1;
}

const UNSENT = Symbol('unsent answers');
type CountedResponse = ServerResponse & { readonly [UNSENT]?: UnsentAnswers };

/** Makes the answers of a class share a budget of `limit` bytes. */
export function limitUnsent(
  server: Server,
  classOfAnswers: { readonly prototype: object },
  limit: number,
): void {
  Object.defineProperty(classOfAnswers.prototype, UNSENT, { value: new UnsentAnswers(server, limit) });
}

/**
 * Counts an answer of `bytes` that is about to begin, or is being made and takes so many meanwhile: the last figure counts.
 * @param isRead whether the request has changed nothing
 * @throws DatabaseError `busy` if it is that of a read and does not fit
 */
export function countUnsent(response: CountedResponse, bytes: number, isRead?: boolean): void {
  if (bytes > SMALL_BYTES || response.socket === null)
    response[UNSENT]?.add(response, bytes, isRead ?? isSafe(response.req));
}

/** Counts no longer what was counted of an answer that has not begun. */
export function forgetUnsent(response: CountedResponse): void {
  response[UNSENT]?.forget(response);
}

/**
 * Returns what checks the size of an answer before it is read, while there may be no space for a large one; else undefined:
 * what is read in vain fills the memory too.
 */
export function sizeCheck(response: CountedResponse): ((bytes: number) => void) | undefined {
  const unsent = response[UNSENT];
  return unsent?.isCrowded ? (bytes) => unsent.refuseUnlessFits(bytes) : undefined;
}

/** Refuses what may have a large answer while there is no space for one. @throws DatabaseError `busy` */
export function refuseIfFull(response: CountedResponse): void {
  response[UNSENT]?.refuseIfFull();
}
