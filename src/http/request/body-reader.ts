import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { MemoryBudget } from './memory-budget.js';
import { inTurns, joined } from './turns.js';
import { whenOver } from './when-over.js';

const CHECK_EVERY_MS = 1_000;
const SILENCE_MS = 30_000;
const SLOWEST_BYTES_PER_MS = 1024 / 1000;
/** Bodies up to here are not counted while they wait to be written, which the queue of writes counts, too. */
const SMALL_BYTES = 16 * 1024;

const BROKEN = 'broken';
const broken = new WeakMap<IncomingMessage, DatabaseError>();

/** Ends a body whose rest will never come: whoever reads it, now or later, gets `error`. */
export function breakBody(request: IncomingMessage, error: DatabaseError): void {
  if (request.complete) return;
  broken.set(request, error);
  request.emit(BROKEN, error);
}

/** The limit on one body, as an error names it. */
interface BodyLimit {
  readonly bytes: number;
  /** What may have so many bytes, as the subject of a sentence. */
  readonly what: string;
  /** The setting that decides, if one does. */
  readonly setting?: string;
}

/** Takes a piece of a body. Returns what the sender has to wait for before the next, if anything. */
type Take = (chunk: Buffer) => Promise<void> | undefined;

/** A body that is on its way in. */
class Upload {
  private readonly startedAt = performance.now();
  private lastByteAt = this.startedAt;
  private received = 0;

  /** @param slowest bytes a millisecond, 0 for a body that may come as slowly as it likes */
  constructor(
    private readonly slowest: number,
    readonly cut: (error: DatabaseError) => void,
  ) {}

  receive(bytes: number): void {
    this.received += bytes;
    this.lastByteAt = performance.now();
  }

  /** The sender waits for the server and is not late meanwhile. */
  pause(): void {
    this.lastByteAt = Infinity;
  }

  resume(): void {
    this.lastByteAt = performance.now();
  }

  /** Returns why the sender is too slow to be waited for, if it is. */
  lateness(now: number): string | undefined {
    if (now - this.lastByteAt > SILENCE_MS) return 'nothing came for 30 s';
    const late = now - this.startedAt - SILENCE_MS;
    return late > 0 && this.received < late * this.slowest ? 'it came with less than 1 KiB/s' : undefined;
  }
}

/**
 * Reads request bodies.
 *
 * Problem: a body parser takes what it is given. Design: a body is refused before it is read where the client says its
 * size, and at the limit where it does not; all bodies share a memory budget, each until its answer is over, because a
 * write needs its body while it waits for the disk; a sender that is silent for 30 s is cut off, and so is one that is slower
 * than 1 KiB/s after the first 30 s where the whole body is held. Nothing is parsed, decoded or inflated here.
 */
@Injectable()
export class BodyReader implements OnApplicationShutdown {
  private readonly uploads = new Set<Upload>();
  private readonly checker = setInterval(() => this.cutLate(), CHECK_EVERY_MS).unref();

  constructor(private readonly budget: MemoryBudget) {}

  onApplicationShutdown(): void {
    clearInterval(this.checker);
  }

  /**
   * Returns the whole body. A large one counts in the budget until the answer is over.
   * @throws DatabaseError `body-too-large`, `value-too-large`, `busy`, `request-timeout`
   */
  async read(request: IncomingMessage, response: ServerResponse, limit: BodyLimit): Promise<Buffer> {
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > limit.bytes) throw tooLarge(limit);
    const chunks: Buffer[] = [];
    let received = 0;
    let held = announced;
    this.budget.claim(announced);
    const release = () => this.budget.release(held);
    try {
      await this.receive(request, response, SLOWEST_BYTES_PER_MS, (chunk) => {
        received += chunk.length;
        if (received > limit.bytes) throw tooLarge(limit);
        if (received > held) {
          this.budget.claim(received - held);
          held = received;
        }
        chunks.push(chunk);
        return undefined;
      });
    } catch (error) {
      release();
      throw error;
    }
    if (held > SMALL_BYTES) whenOver(request, response, release);
    else release();
    return chunks.length === 1 ? chunks[0]! : inTurns(joined(chunks, received));
  }

  /**
   * Hands the body over piece by piece, however slowly it comes, pausing while `consume` works. What it throws ends the body.
   * @throws DatabaseError `request-timeout` after 30 s without a byte
   */
  async stream(request: IncomingMessage, response: ServerResponse, consume: Take): Promise<void> {
    let work: Promise<void> | undefined;
    await this.receive(request, response, 0, (chunk) => (work = consume(chunk)));
    // A pause does not hold up the end of the stream.
    await work;
  }

  /**
   * Reads a body that has to be empty, of which the client may not have said so before.
   * @throws DatabaseError `refusal` if it is not
   */
  async readNone(request: IncomingMessage, response: ServerResponse, refusal: DatabaseError): Promise<void> {
    if (Number(request.headers['content-length'] ?? 0) > 0) throw refusal;
    await this.stream(request, response, () => {
      throw refusal;
    });
  }

  private receive(
    request: IncomingMessage,
    response: ServerResponse,
    slowest: number,
    take: Take,
  ): Promise<void> {
    const earlier = broken.get(request);
    if (earlier) return Promise.reject(earlier);
    // HTTP/1.0 knows no interim answers (RFC 9110, 15.2).
    if (request.headers.expect !== undefined && request.httpVersionMinor > 0) response.writeContinue();
    return new Promise((resolve, reject) => {
      const settle = (error?: DatabaseError) => {
        this.uploads.delete(upload);
        request.off('data', onData).off('end', onEnd).off('close', onClose).off(BROKEN, settle);
        if (error) reject(error);
        else resolve();
      };
      const upload = new Upload(slowest, settle);
      const onData = (chunk: Buffer) => {
        upload.receive(chunk.length);
        try {
          const work = take(chunk);
          if (work) holdWhile(work, request, upload);
        } catch (error) {
          settle(error as DatabaseError);
        }
      };
      const onEnd = () => settle();
      const onClose = () =>
        settle(new DatabaseError('malformed-request', 'The connection ended in the middle of the body.'));
      this.uploads.add(upload);
      request.on('data', onData).on('end', onEnd).on('close', onClose).on(BROKEN, settle);
    });
  }

  private cutLate(): void {
    const now = performance.now();
    for (const upload of this.uploads) {
      const why = upload.lateness(now);
      if (why === undefined) continue;
      upload.cut(new DatabaseError('request-timeout', `The body came too slowly: ${why}. Send it again.`));
    }
  }
}

/** Holds the sender up while the server works on what it has sent. */
function holdWhile(work: Promise<void>, request: IncomingMessage, upload: Upload): void {
  request.pause();
  upload.pause();
  work.then(
    () => {
      upload.resume();
      request.resume();
    },
    (error: DatabaseError) => upload.cut(error),
  );
}

function tooLarge({ bytes, what, setting }: BodyLimit): DatabaseError {
  const code = setting === 'MAX_VALUE_BYTES' ? 'value-too-large' : 'body-too-large';
  const by = setting ? ` (${setting})` : '';
  return new DatabaseError(code, `${what} may have at most ${bytes} bytes${by}.`, {
    limit: bytes,
    ...(setting && { setting }),
  });
}
