import { crc32 } from 'node:zlib';
import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import {
  IDEMPOTENCY_BYTES,
  IDEMPOTENCY_TTL,
  idempotencyMismatch,
  limitOf,
  outcomesOf,
  type IdempotencyKey,
  type IdempotencySettings,
  type KeyedAnswer,
  type KeyedWrite,
} from '../idempotency.js';
import { decodeOutcomes, encodeOutcomes } from '../idempotency-record.js';
import type { Steps } from '../steps.js';
import type { DiskSpace } from './disk-space.js';
import { KEYED } from './keys.js';
import type { Store } from './store.js';
import type { Writer } from './writer.js';

/*
 * Writes with an Idempotency-Key, inside write transactions: what such a write came to is stored in the transaction that makes
 * its changes, so that a crash leaves both or neither.
 *
 * The records lie among the private ones (`system`), which every copy of a store has: a backup, a compaction, what is saved from
 * damage. Their names begin as no other name does:
 *
 *   ~a<id>             the answer: u32 CRC-32 of the id and what follows, f64 until when it is kept, fingerprint, outcomes
 *   ~e<time><id>       u32, the length of the answer that ends then; the time as 12 hexadecimal digits, so that their order is age
 *   ~n                 f64, how many bytes all of them have
 *
 * What is over, or too much, goes when something new is kept, and there is never more than that.
 */
const ANSWER = `${KEYED}a`;
const END = `${KEYED}e`;
const ENDS = { start: END, end: `${KEYED}f` };
const TOTAL = `${KEYED}n`;
const TIME_DIGITS = 12;
const CRC_BYTES = 4;
const FINGERPRINT_AT = 12;
const FINGERPRINT_BYTES = 32;
const OUTCOMES_AT = FINGERPRINT_AT + FINGERPRINT_BYTES;
/** The names of the two records, and what the second one has. */
const NAMES_BYTES = 128;
/** How many one transaction forgets for each that it keeps: it holds up others meanwhile. */
const FORGET_AT_ONCE = 1000;

interface Answer {
  readonly expires: number;
  readonly fingerprint: string;
  readonly outcomes: Buffer;
  readonly length: number;
}

/** Does keyed writes, and remembers what they came to. */
export class KeyedWrites {
  /** Milliseconds. */
  private readonly ttl: number;
  private readonly mostBytes: number;
  /** What is stored, bytes; undefined until the transaction wants to know. */
  private total: number | undefined;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly space: DiskSpace,
    private readonly writer: Writer,
    { idempotencyTtl = IDEMPOTENCY_TTL, idempotencyBytes = IDEMPOTENCY_BYTES }: IdempotencySettings,
  ) {
    this.ttl = idempotencyTtl;
    this.mostBytes = idempotencyBytes;
  }

  /** Begins a transaction, without what one that was rolled back has left. */
  begin(): void {
    this.total = undefined;
  }

  /** Does a write, unless it was done before. @throws DatabaseError if it is refused; nothing is written then */
  *apply(write: KeyedWrite): Steps<KeyedAnswer> {
    const { key } = write;
    const now = this.clock.now();
    const before = this.read(key);
    if (before && before.expires > now) return answerOf(before, write);
    const limit = limitOf(write, this.mostBytes);
    // Deletes go on where the disk is full.
    if (write.operations.some(({ op }) => op !== 'delete')) this.space.claim(OUTCOMES_AT);
    const outcomes = yield* outcomesOf(write, limit, this.writer);
    if (before) this.forget(before.expires, key.id, before.length);
    const expires = now + this.ttl;
    this.keep(key, expires, encodeOutcomes(write, outcomes));
    this.forgetOld(now);
    return { outcomes, expires, isReplay: false };
  }

  /** Returns what a write came to if it was done. @throws DatabaseError `idempotency-mismatch`, `corrupt` */
  recall(write: Pick<KeyedWrite, 'key' | 'operations'>): KeyedAnswer | undefined {
    const found = this.read(write.key);
    return found && found.expires > this.clock.now() ? answerOf(found, write) : undefined;
  }

  private read({ id }: IdempotencyKey): Answer | undefined {
    const record = this.store.system.getBinary(ANSWER + id);
    if (!record) return undefined;
    if (record.length < OUTCOMES_AT || record.readUInt32LE(0) !== checksum(id, record)) throw damaged();
    return {
      expires: record.readDoubleLE(CRC_BYTES),
      fingerprint: record.toString('base64url', FINGERPRINT_AT, OUTCOMES_AT),
      outcomes: record.subarray(OUTCOMES_AT),
      length: record.length,
    };
  }

  private keep({ id, fingerprint }: IdempotencyKey, expires: number, outcomes: Buffer): void {
    const record = Buffer.allocUnsafe(OUTCOMES_AT + outcomes.length);
    record.writeDoubleLE(expires, CRC_BYTES);
    record.write(fingerprint, FINGERPRINT_AT, 'base64url');
    outcomes.copy(record, OUTCOMES_AT);
    record.writeUInt32LE(checksum(id, record), 0);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(record.length);
    void this.store.system.put(ANSWER + id, record);
    void this.store.system.put(endName(expires, id), length);
    this.count(record.length + NAMES_BYTES);
  }

  /** Forgets what is over, and the oldest of what is too much. */
  private forgetOld(now: number): void {
    for (let left = FORGET_AT_ONCE; left > 0; left--) {
      const [oldest] = this.store.system.getRange({ ...ENDS, limit: 1 });
      if (!oldest) return;
      const name = oldest.key as string;
      const idAt = END.length + TIME_DIGITS;
      const expires = parseInt(name.slice(END.length, idAt), 16);
      if (expires > now && this.bytes <= this.mostBytes) return;
      this.forget(expires, name.slice(idAt), oldest.value.readUInt32LE(0));
    }
  }

  private forget(expires: number, id: string, length: number): void {
    void this.store.system.remove(ANSWER + id);
    void this.store.system.remove(endName(expires, id));
    this.count(-(length + NAMES_BYTES));
  }

  /** What all of them have, bytes. */
  private get bytes(): number {
    return (this.total ??= this.store.system.getBinary(TOTAL)?.readDoubleLE(0) ?? 0);
  }

  private count(bytes: number): void {
    this.total = Math.max(0, this.bytes + bytes);
    const total = Buffer.alloc(8);
    total.writeDoubleLE(this.total);
    void this.store.system.put(TOTAL, total);
  }
}

function answerOf(
  { fingerprint, outcomes, expires }: Answer,
  { key, operations }: Pick<KeyedWrite, 'key' | 'operations'>,
): KeyedAnswer {
  if (fingerprint !== key.fingerprint) throw idempotencyMismatch();
  return { outcomes: decodeOutcomes(operations, outcomes), expires, isReplay: true };
}

function endName(expires: number, id: string): string {
  return END + expires.toString(16).padStart(TIME_DIGITS, '0') + id;
}

function checksum(id: string, record: Buffer): number {
  return crc32(record.subarray(CRC_BYTES), crc32(id));
}

function damaged(): DatabaseError {
  return new DatabaseError(
    'corrupt',
    'What the write with this Idempotency-Key came to is damaged in the store, so that nobody knows whether it was done. ' +
      'Nothing was applied now. Read what it should have written.',
  );
}
