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

/** A body that is on its way in. */
class Upload {
  readonly startedAt = performance.now();
  lastByteAt = this.startedAt;
  received = 0;
  held = 0;

  constructor(readonly cut: (error: DatabaseError) => void) {}

  /** Whether the sender is too slow to be waited for. */
  isLate(now: number): boolean {
    const age = now - this.startedAt;
    return (
      now - this.lastByteAt > SILENCE_MS ||
      (age > SILENCE_MS && this.received < (age - SILENCE_MS) * SLOWEST_BYTES_PER_MS)
    );
  }
}

/**
 * Reads request bodies.
 *
 * Problem: a body parser takes what it is given. Design: a body is refused before it is read where the client says its
 * size, and at the limit where it does not; all bodies share a memory budget, each until its answer is over, because a
 * write needs its body while it waits for the disk; a sender that is silent for 30 s, or slower than 1 KiB/s after the
 * first 30 s, is cut off. Nothing is parsed, decoded or inflated here.
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
      await this.receive(request, response, (chunk) => {
        received += chunk.length;
        if (received > limit.bytes) throw tooLarge(limit);
        if (received > held) {
          this.budget.claim(received - held);
          held = received;
        }
        chunks.push(chunk);
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
   * Hands the body over piece by piece, pausing while `consume` works. What it throws ends the body.
   * @throws DatabaseError `request-timeout`
   */
  async stream(
    request: IncomingMessage,
    response: ServerResponse,
    consume: (chunk: Buffer) => Promise<void> | undefined,
  ): Promise<void> {
    let work: Promise<void> | undefined;
    await this.receive(request, response, (chunk, upload) => {
      work = consume(chunk);
      if (!work) return;
      request.pause();
      work.then(
        () => {
          upload.lastByteAt = performance.now();
          request.resume();
        },
        (error: DatabaseError) => upload.cut(error),
      );
    });
    // A pause does not hold up the end of the stream.
    await work;
  }

  private receive(
    request: IncomingMessage,
    response: ServerResponse,
    take: (chunk: Buffer, upload: Upload) => void,
  ): Promise<void> {
    const earlier = broken.get(request);
    if (earlier) return Promise.reject(earlier);
    if (request.headers.expect !== undefined) response.writeContinue();
    return new Promise((resolve, reject) => {
      const settle = (error?: DatabaseError) => {
        this.uploads.delete(upload);
        request.off('data', onData).off('end', onEnd).off('close', onClose).off(BROKEN, settle);
        if (error) reject(error);
        else resolve();
      };
      const upload = new Upload(settle);
      const onData = (chunk: Buffer) => {
        upload.received += chunk.length;
        upload.lastByteAt = performance.now();
        try {
          take(chunk, upload);
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
      if (!upload.isLate(now)) continue;
      upload.cut(
        new DatabaseError(
          'request-timeout',
          'The body came too slowly: nothing for 30 s, or less than 1 KiB/s. Send it again.',
        ),
      );
    }
  }
}

function tooLarge({ bytes, what, setting }: BodyLimit): DatabaseError {
  const code = setting === 'MAX_VALUE_BYTES' ? 'value-too-large' : 'body-too-large';
  const by = setting ? ` (${setting})` : '';
  return new DatabaseError(code, `${what} may have at most ${bytes} bytes${by}.`, {
    limit: bytes,
    ...(setting && { setting }),
  });
}
