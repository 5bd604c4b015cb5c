import {
  IDEMPOTENCY_BYTES,
  IDEMPOTENCY_TTL,
  idempotencyMismatch,
  limitOf,
  outcomesOf,
  type Applier,
  type IdempotencySettings,
  type KeyedAnswer,
  type KeyedWrite,
} from './idempotency.js';
import { decodeOutcomes, encodeOutcomes } from './idempotency-record.js';
import { finish } from './steps.js';

interface Answer {
  readonly fingerprint: string;
  readonly outcomes: Buffer;
  readonly expires: number;
}

/** The answers to keyed writes in a Map, the oldest first. */
export class MemoryAnswers {
  private readonly answers = new Map<string, Answer>();
  private bytes = 0;
  /** Milliseconds. */
  private readonly ttl: number;
  private readonly mostBytes: number;

  constructor({
    idempotencyTtl = IDEMPOTENCY_TTL,
    idempotencyBytes = IDEMPOTENCY_BYTES,
  }: IdempotencySettings) {
    this.ttl = idempotencyTtl;
    this.mostBytes = idempotencyBytes;
  }

  /** Does a write, unless it was done before. @throws DatabaseError as `writeOnce` */
  write(write: KeyedWrite, applier: Applier, now: number): KeyedAnswer {
    const found = this.find(write, now);
    return found ?? this.add(write, finish(outcomesOf(write, limitOf(write, this.mostBytes), applier)), now);
  }

  /** Returns what the write came to before. @throws DatabaseError `idempotency-mismatch` */
  find({ key, operations }: Pick<KeyedWrite, 'key' | 'operations'>, now: number): KeyedAnswer | undefined {
    const answer = this.answers.get(key.id);
    if (!answer || answer.expires <= now) return undefined;
    if (answer.fingerprint !== key.fingerprint) throw idempotencyMismatch();
    // Readers own their buffers.
    const outcomes = decodeOutcomes(operations, Buffer.from(answer.outcomes));
    return { outcomes, expires: answer.expires, isReplay: true };
  }

  /** Remembers what the write came to. */
  private add(write: KeyedWrite, outcomes: KeyedAnswer['outcomes'], now: number): KeyedAnswer {
    const { id, fingerprint } = write.key;
    const expires = now + this.ttl;
    this.remove(id);
    const answer = { fingerprint, outcomes: encodeOutcomes(write, outcomes), expires };
    this.answers.set(id, answer);
    this.bytes += sizeOf(answer);
    for (const [oldest, { expires: end }] of this.answers) {
      if (this.bytes <= this.mostBytes && end > now) break;
      this.remove(oldest);
    }
    return { outcomes, expires, isReplay: false };
  }

  private remove(id: string): void {
    const answer = this.answers.get(id);
    if (!answer) return;
    this.bytes -= sizeOf(answer);
    this.answers.delete(id);
  }
}

function sizeOf({ fingerprint, outcomes }: Answer): number {
  return 2 * fingerprint.length + outcomes.length;
}
