import type { OnApplicationShutdown } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { shareOf, type AppConfig } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';

const CHECK_EVERY_MS = 1_000;
const SILENCE_MS = 30_000;
const SLOWEST_BYTES_PER_MS = 1024 / 1000;
const BUDGET_IN_VALUES = 16;
const LEAST_BUDGET = 64 * 2 ** 20;
/** However many processes share the budget, the largest batch and the longest line of an import have to fit. */
const LARGEST_BATCH = 16 * 2 ** 20;
const LONGEST_LINE_IN_VALUES = 7;

const BROKEN = 'broken';
const broken = new WeakMap<IncomingMessage, DatabaseError>();

/** The rest of a request's body will never come: whoever reads it, now or later, hears of it. */
export function breakBody(request: IncomingMessage, error: DatabaseError): void {
  if (request.complete) return;
  broken.set(request, error);
  request.emit(BROKEN, error);
}

/** Stands where a limit on one body is named in an error. */
export interface BodyLimit {
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
 * Problem: a body parser takes what it is given. Design: the size is refused before reading where the client says it,
 * and at the limit where it does not; all bodies held at once share a budget of 16 largest values (64 MiB at least), of which
 * each process of the server has its part, and a body that does not fit is refused before it is read; a sender that is silent for 30 s, or slower than 1 KiB/s after the first 30 s,
 * is cut off. Nothing is parsed, decoded or inflated here.
 */
export class BodyReader implements OnApplicationShutdown {
  private readonly uploads = new Set<Upload>();
  private readonly budget: number;
  private held = 0;
  private readonly checker = setInterval(() => this.cutLate(), CHECK_EVERY_MS).unref();

  constructor(config: Pick<AppConfig, 'maxValueBytes' | 'workers'>) {
    const { maxValueBytes } = config;
    const share = shareOf(Math.max(LEAST_BUDGET, BUDGET_IN_VALUES * maxValueBytes), config);
    this.budget = Math.max(share, LARGEST_BATCH, LONGEST_LINE_IN_VALUES * maxValueBytes);
  }

  onApplicationShutdown(): void {
    clearInterval(this.checker);
  }

  /** The whole body. @throws DatabaseError `body-too-large`, `value-too-large`, `busy`, `request-timeout` */
  async read(request: IncomingMessage, response: ServerResponse, limit: BodyLimit): Promise<Buffer> {
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > limit.bytes) throw tooLarge(limit);
    const chunks: Buffer[] = [];
    let received = 0;
    let held = announced;
    this.claim(announced);
    try {
      await this.receive(request, response, (chunk) => {
        received += chunk.length;
        if (received > limit.bytes) throw tooLarge(limit);
        if (received > held) {
          this.claim(received - held);
          held = received;
        }
        chunks.push(chunk);
      });
    } finally {
      this.held -= held;
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, received);
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
    await this.receive(request, response, (chunk, upload) => {
      const work = consume(chunk);
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
  }

  /** Holds `bytes` of the budget for something that is not a body itself, such as a line of one. */
  claim(bytes: number): void {
    if (this.tryClaim(bytes)) return;
    throw new DatabaseError(
      'busy',
      `The server has no room for this body: all at once may take ${this.budget} bytes. Try again.`,
      { limit: this.budget, setting: 'MAX_VALUE_BYTES' },
    );
  }

  /** The same where one can do without: answers whether there was room. */
  tryClaim(bytes: number): boolean {
    if (this.held + bytes > this.budget) return false;
    this.held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.held -= bytes;
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
