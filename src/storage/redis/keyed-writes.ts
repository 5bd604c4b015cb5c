import { DatabaseError } from '../../errors.js';
import {
  IDEMPOTENCY_BYTES,
  IDEMPOTENCY_TTL,
  idempotencyMismatch,
  limitOf,
  type IdempotencySettings,
  type KeyedAnswer,
  type KeyedWrite,
} from '../idempotency.js';
import { tooMuchFound, type BatchOperation, type Outcome } from '../operation.js';
import { RECALL } from './scripts.js';
import type { RedisStore } from './store.js';
import { decodeOutcome, encodeOnce, type OperationReply, type Refusal } from './write-script.js';
import { assertOneTag, type RedisWriter } from './writer.js';

/**
 * Does writes with an Idempotency-Key. The script that writes remembers what they came to (scripts/once.lua), in the partition of
 * their keys, which is one: a batch that stands in several is refused, atomic or not.
 */
export class RedisKeyedWrites {
  /** Milliseconds. */
  private readonly ttl: number;
  private readonly mostBytes: number;

  constructor(
    private readonly store: RedisStore,
    private readonly writer: RedisWriter,
    { idempotencyTtl = IDEMPOTENCY_TTL, idempotencyBytes = IDEMPOTENCY_BYTES }: IdempotencySettings,
  ) {
    this.ttl = idempotencyTtl;
    this.mostBytes = idempotencyBytes;
  }

  /** @throws DatabaseError as `StorageEngine.writeOnce`, and `cross-slot` */
  async write(write: KeyedWrite): Promise<KeyedAnswer> {
    const { operations, mode, refusal } = write;
    assertOneTag(operations);
    const [maxBytes, tooLarge] = limitOf(write, this.mostBytes);
    const share = Math.ceil(this.mostBytes / this.store.partitions.all.length);
    const once = encodeOnce(write, this.ttl, share, this.mostBytes);
    const partition = this.store.partitions.ofKey(operations[0]!.key);
    const options = { atomic: mode === 'atomic', maxBytes, once, refusal };
    const replies = await this.writer.send(partition, operations, options);
    const refuse = () => tooLarge(maxBytes);
    const answer = answerIn(operations, replies, refuse);
    if (answer) return answer;
    const outcomes = outcomesOf(operations, replies, refuse);
    const [first] = outcomes;
    // Of a pipeline no operation's refusal is that of all.
    if (mode !== 'pipeline' && first instanceof DatabaseError) throw first;
    return { outcomes, expires: this.store.timeOf(partition) + this.ttl, isReplay: false };
  }

  async recall({
    key,
    operations,
  }: Pick<KeyedWrite, 'key' | 'operations'>): Promise<KeyedAnswer | undefined> {
    const partition = this.store.partitions.ofKey(operations[0]!.key);
    const replies = await this.store.query(partition, RECALL, [key.id, key.fingerprint]);
    return answerIn(operations, replies as unknown as OperationReply[], () => tooMuchFound(0));
  }
}

/** Returns what was remembered. */
function answerIn(
  operations: readonly BatchOperation[],
  [known, ...replies]: readonly OperationReply[],
  tooLarge: Refusal,
): KeyedAnswer | undefined {
  const kind = known?.[0].toString('latin1');
  if (kind === 'mismatch') throw idempotencyMismatch();
  if (kind !== 'once') return undefined;
  const [, expires, isReplay] = known as unknown as [Buffer, Buffer, number];
  const outcomes = outcomesOf(operations, replies, tooLarge, isReplay === 0);
  return { outcomes, expires: Number(expires.toString('latin1')), isReplay: isReplay === 1 };
}

/** The refusal of an atomic batch stands alone. */
function outcomesOf(
  operations: readonly BatchOperation[],
  replies: readonly OperationReply[],
  tooLarge: Refusal,
  isNew = true,
): (Outcome | DatabaseError)[] {
  return replies.map((reply, i) => {
    const [, , , index] = reply;
    const outcome = decodeOutcome(operations[index ?? i]!, reply, tooLarge, isNew);
    return outcome instanceof DatabaseError && typeof index === 'number' ? outcome.with({ index }) : outcome;
  });
}
