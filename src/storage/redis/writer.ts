import { DatabaseError } from '../../errors.js';
import { FoundBytes, type BatchOperation, type Outcome } from '../operation.js';
import { DEADLINE_MS } from './cluster-client/connection.js';
import type { RedisStore } from './store.js';
import { hashTagOf } from './cluster-client/slots.js';
import type { Partition } from './partitions.js';
import type { Call, Repeatable } from './cluster-client/cluster-client.js';
import { decodeOutcome, encodeOperation, type Answer } from './record.js';

/** Partitions that a pipeline reads from at once: the values it finds are in memory together. */
const READ_AT_ONCE = 16;
/** Behind kind, code and tag of an atomic refusal. */
const INDEX = 3;

/** Operations of a batch that go to one partition, with their places in the batch. */
interface Share {
  readonly partition: Partition;
  readonly operations: BatchOperation[];
  readonly places: number[];
}

/** Writes, alone and in batches, each batch as one script for a partition. */
export class RedisWriter {
  constructor(private readonly database: RedisStore) {}

  async one(operation: BatchOperation, due?: number): Promise<Outcome> {
    const partition = this.database.layout.partitionOf(operation.key);
    const how = { atomic: false, maxBytes: undefined, repeatable: repeatable(operation), due };
    const [answer] = await this.send(partition, [operation], how);
    const outcome = decodeOutcome(operation, answer!, undefined);
    if (outcome instanceof DatabaseError) throw outcome;
    return outcome;
  }

  /** All or nothing, for keys that Redis itself would keep together. @throws DatabaseError `cross-slot` */
  async atomic(operations: readonly BatchOperation[], maxBytes?: number): Promise<Outcome[]> {
    if (operations.length === 0) return [];
    assertOneTag(operations);
    const partition = this.database.layout.partitionOf(operations[0]!.key);
    const answers = await this.send(partition, operations, { atomic: true, maxBytes, repeatable: 'once' });
    const index = answers[0]![INDEX];
    if (index !== undefined) {
      throw (decodeOutcome(operations[index]!, answers[0]!, maxBytes) as DatabaseError).with({ index });
    }
    return operations.map((operation, i) => decodeOutcome(operation, answers[i]!, maxBytes) as Outcome);
  }

  /** Each for itself, in order for each key. */
  async pipeline(
    operations: readonly BatchOperation[],
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const outcomes: (Outcome | DatabaseError)[] = [];
    const shares = this.shares(operations);
    const due = performance.now() + DEADLINE_MS;
    const atOnce = operations.some(({ op }) => op === 'get') ? READ_AT_ONCE : shares.length;
    for (let i = 0; i < shares.length; i += atOnce) {
      const some = shares.slice(i, i + atOnce);
      const left = maxBytes === undefined ? undefined : maxBytes - foundIn(outcomes);
      const settled = await Promise.allSettled(some.map((share) => this.pipe(share, left, due, outcomes)));
      const failures = settled.flatMap((share) =>
        share.status === 'rejected' ? [share.reason as unknown] : [],
      );
      if (failures.length > 0) throw failureOf(failures, i > 0 || failures.length < settled.length);
    }
    return withinBytes(outcomes, maxBytes);
  }

  private async pipe(
    { partition, operations, places }: Share,
    maxBytes: number | undefined,
    due: number,
    outcomes: (Outcome | DatabaseError)[],
  ): Promise<void> {
    const answers = await this.send(partition, operations, {
      atomic: false,
      maxBytes,
      repeatable: 'once',
      due,
    });
    for (const [i, operation] of operations.entries()) {
      outcomes[places[i]!] = decodeOutcome(operation, answers[i]!, maxBytes);
    }
  }

  private async send(
    partition: Partition,
    operations: readonly BatchOperation[],
    {
      maxBytes = Infinity,
      ...how
    }: Pick<Call, 'repeatable' | 'due'> & {
      readonly atomic: boolean;
      readonly maxBytes: number | undefined;
    },
  ): Promise<Answer[]> {
    const entries = operations.map(({ key }) => partition.entries + key);
    const firstEntry = partition.names.length + 1;
    const encoded = operations.flatMap((operation, i) => encodeOperation(operation, firstEntry + i));
    const options = { ...how, maxFound: maxBytes };
    return (await this.database.write(partition, entries, encoded, options)) as unknown as Answer[];
  }

  private shares(operations: readonly BatchOperation[]): Share[] {
    const shares = new Map<Partition, Share>();
    for (const [place, operation] of operations.entries()) {
      const partition = this.database.layout.partitionOf(operation.key);
      let share = shares.get(partition);
      if (!share) shares.set(partition, (share = { partition, operations: [], places: [] }));
      share.operations.push(operation);
      share.places.push(place);
    }
    return [...shares.values()];
  }
}

/**
 * A write without a condition may be sent again, as any proxy may do (RFC 9110, section 9.2.2): the script knows its own tag
 * if it is still there. One that adds, or whose condition its own first try might have undone, may not.
 */
function repeatable({ op, condition }: BatchOperation): Repeatable {
  const reads = op === 'get' || op === 'check';
  return reads || ((op === 'put' || op === 'delete') && !condition) ? 'repeatable' : 'once';
}

/** What the whole batch comes to if parts of it failed; the others may have `applied` what nobody is told then. */
function failureOf(failures: readonly unknown[], applied: boolean): unknown {
  const isUnknown = (error: unknown) => !(error instanceof DatabaseError) || error.code === 'outcome-unknown';
  const [first] = failures;
  if (!applied || isUnknown(first)) return failures.find(isUnknown) ?? first;
  return new DatabaseError(
    'outcome-unknown',
    'A part of the batch was not answered, so that some of its operations may have been applied and others not.',
  );
}

/** Redis's own rule, so that what is allowed does not depend on which keys happen to lie together. */
function assertOneTag(operations: readonly BatchOperation[]): void {
  const [first, ...others] = operations.map(({ key }) => key);
  const tag = hashTagOf(first!);
  if (others.every((key) => hashTagOf(key) === tag)) return;
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
