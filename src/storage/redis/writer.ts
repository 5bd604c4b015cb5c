import { DatabaseError } from '../../errors.js';
import {
  assertReached,
  FoundBytes,
  isFailure,
  tooMuchFound,
  type BatchOperation,
  type Outcome,
} from '../operation.js';
import { commitOperations, commitSeconds } from '../storage-meters.js';
import type { Command } from './cluster-client/cluster-client.js';
import { COMMAND_TIMEOUT_MS } from './cluster-client/connection.js';
import { hashedPartOf } from './cluster-client/slots.js';
import type { Partition } from './partitions.js';
import type { RedisStore } from './store.js';
import { decodeOutcome, encodeOperation, encodeRefusal, type OperationReply } from './write-script.js';

/** Partitions from which a batch reads at the same time: all values that they find are in memory together. */
const MAX_CONCURRENT_READS = 16;

interface SendOptions extends Pick<Command, 'deadline'> {
  readonly atomic: boolean;
  readonly maxBytes?: number | undefined;
  /** The arguments of a write with an Idempotency-Key (write-script.ts). */
  readonly once?: readonly string[];
  /** What the one operation has been refused with: only this is remembered then. */
  readonly refusal?: DatabaseError | undefined;
}

/** The operations of a batch on one partition, with their indexes in the batch. */
interface Share {
  readonly partition: Partition;
  readonly operations: BatchOperation[];
  readonly indexes: number[];
}

/** Applies operations, with one script for each partition that they concern. */
export class RedisWriter {
  constructor(private readonly store: RedisStore) {}

  /** @throws DatabaseError having written nothing, or `outcome-unknown` */
  async apply(operation: BatchOperation, deadline?: number): Promise<Outcome> {
    const partition = this.store.partitions.ofKey(operation.key);
    const options = { atomic: false, deadline };
    const [reply] = await this.send(partition, [operation], options);
    const outcome = decodeOutcome(operation, reply!, tooMuch());
    if (outcome instanceof DatabaseError) throw outcome;
    return outcome;
  }

  /**
   * Applies each operation by itself; the error of one that is refused, or whose part of the database cannot be reached,
   * stands in its place. @throws DatabaseError if none of them can be reached
   */
  async applyEach(
    operations: readonly BatchOperation[],
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const outcomes: (Outcome | DatabaseError)[] = [];
    const shares = this.sharesOf(operations);
    const deadline = performance.now() + COMMAND_TIMEOUT_MS;
    const step = operations.some(({ op }) => op === 'get') ? MAX_CONCURRENT_READS : shares.length;
    for (let i = 0; i < shares.length; i += step) {
      const left = maxBytes === undefined ? undefined : maxBytes - foundIn(outcomes);
      await Promise.all(
        shares.slice(i, i + step).map((share) => this.applyShare(share, left, deadline, outcomes)),
      );
    }
    // Nothing is known but failures: that of the request as a whole.
    if (outcomes.every(isFailure)) assertReached(outcomes);
    return withinBytes(outcomes, maxBytes);
  }

  /**
   * Applies all operations or none.
   * @throws DatabaseError of the first that is refused, with its index; `cross-slot` for keys that Redis keeps apart
   */
  async applyAll(operations: readonly BatchOperation[], maxBytes?: number): Promise<Outcome[]> {
    if (operations.length === 0) return [];
    assertOneTag(operations);
    const partition = this.store.partitions.ofKey(operations[0]!.key);
    const replies = await this.send(partition, operations, { atomic: true, maxBytes });
    const [, , , index] = replies[0]!;
    if (typeof index === 'number') {
      throw (decodeOutcome(operations[index]!, replies[0]!, tooMuch(maxBytes)) as DatabaseError).with({
        index,
      });
    }
    return operations.map(
      (operation, i) => decodeOutcome(operation, replies[i]!, tooMuch(maxBytes)) as Outcome,
    );
  }

  private async applyShare(
    { partition, operations, indexes }: Share,
    maxBytes: number | undefined,
    deadline: number,
    outcomes: (Outcome | DatabaseError)[],
  ): Promise<void> {
    const options = { atomic: false, maxBytes, deadline };
    const outcomesOf = await this.send(partition, operations, options).then(
      (replies) => operations.map((operation, i) => decodeOutcome(operation, replies[i]!, tooMuch(maxBytes))),
      (error: unknown) => {
        if (!(error instanceof DatabaseError)) throw error;
        return operations.map(() => error);
      },
    );
    for (const [i, outcome] of outcomesOf.entries()) outcomes[indexes[i]!] = outcome;
  }

  /** Sends operations to the partition that has their keys. Returns a reply for each. */
  async send(
    partition: Partition,
    operations: readonly BatchOperation[],
    { maxBytes = Infinity, refusal, ...options }: SendOptions,
  ): Promise<OperationReply[]> {
    const entries = operations.map(({ key }) => partition.entryPrefix + key);
    const firstEntry = partition.scriptKeys.length + 1;
    const encoded = refusal
      ? encodeRefusal(refusal, operations[0]!)
      : operations.flatMap((operation, i) => encodeOperation(operation, firstEntry + i));
    const start = performance.now();
    const replies = await this.store.write(partition, entries, encoded, { ...options, maxBytes });
    commitSeconds.observe((performance.now() - start) / 1000);
    commitOperations.observe(1);
    return replies as unknown as OperationReply[];
  }

  private sharesOf(operations: readonly BatchOperation[]): Share[] {
    const shares = new Map<Partition, Share>();
    for (const [index, operation] of operations.entries()) {
      const partition = this.store.partitions.ofKey(operation.key);
      let share = shares.get(partition);
      if (!share) shares.set(partition, (share = { partition, operations: [], indexes: [] }));
      share.operations.push(operation);
      share.indexes.push(index);
    }
    return [...shares.values()];
  }
}

function tooMuch(maxBytes = Infinity): () => DatabaseError {
  return () => tooMuchFound(maxBytes);
}

/** Redis's own rule: what is allowed must not depend on which keys happen to share a partition. */
export function assertOneTag(operations: readonly BatchOperation[]): void {
  const [first, ...others] = operations.map(({ key }) => key);
  const tag = hashedPartOf(first!);
  if (others.every((key) => hashedPartOf(key) === tag)) return;
  const keys = [...new Set([first!, ...others])];
  throw new DatabaseError(
    'cross-slot',
    'An atomic batch on Redis needs keys that are all the same or share a `{tag}`, as `{user/1}/name` and `{user/1}/mail` do.',
    { keys },
  );
}

function foundIn(outcomes: readonly (Outcome | DatabaseError)[]): number {
  let bytes = 0;
  for (const outcome of outcomes) {
    if (outcome && 'kind' in outcome && outcome.kind === 'found') bytes += outcome.entry.size;
  }
  return bytes;
}

/** Each share kept to what was left when it began; this holds the limit for all of them together, in order. */
function withinBytes(
  outcomes: readonly (Outcome | DatabaseError)[],
  maxBytes: number | undefined,
): (Outcome | DatabaseError)[] {
  const found = new FoundBytes(maxBytes);
  return outcomes.map((outcome) => {
    try {
      if (!(outcome instanceof DatabaseError)) found.add(outcome);
      return outcome;
    } catch (error) {
      return error as DatabaseError;
    }
  });
}
