import { DatabaseError } from '../../errors.js';
import type { FoundLimit } from '../idempotency.js';
import { sizeOf, tooMuchFound, type BatchOperation, type Outcome } from '../operation.js';
import type { GroupCommit } from './group-commit.js';
import type { LargeRecord } from './large-record.js';
import type { LargeValues } from './large-values.js';
import { DamagedPageError } from './tree.js';
import { writeEach } from './write-each.js';
import type { Writer } from './writer.js';

/** How long a part keeps the event loop, milliseconds. A thousand small operations take less. */
const PART_MS = 15;

type Outcomes = (Outcome | DatabaseError)[];

/**
 * Applies a batch whose operations stand each for itself, in parts that have a transaction each.
 *
 * Problem: a thousand operations may take a second, in which the transaction holds the event loop. Design: a part ends when
 * its time is up, and the next goes on with the operation after it. What is refused or fails stands in the place of its
 * operation; a failure of the first part is one of the whole batch, because nothing has been applied.
 */
export async function applyInParts(
  operations: readonly BatchOperation[],
  maxBytes: number | undefined,
  { commits, writer, large, write }: PartWriter,
): Promise<Outcomes> {
  const puts = await large.recordsOf(operations);
  const outcomes: Outcomes = [];
  while (outcomes.length < operations.length) {
    const rest = operations.slice(outcomes.length);
    const goesOn = outcomes.length > 0;
    const limit = leftOf(maxBytes, outcomes);
    try {
      const bytes = rest.reduce((sum, operation) => sum + sizeOf(operation), 0);
      const run = () => writer.applyUntil(performance.now() + PART_MS, rest, ...limit);
      const submit = (read: readonly LargeRecord[]) =>
        commits.submit(bytes, run, { large: [...puts, ...read], goesOn });
      outcomes.push(...(await large.withRead(rest, submit)));
    } catch (error) {
      if (error instanceof DamagedPageError) outcomes.push(...(await writeEach(write, rest, ...limit)));
      else if (goesOn && error instanceof DatabaseError) outcomes.push(...rest.map(() => error));
      else throw error;
    }
  }
  return outcomes;
}

/** What writes the parts, and single operations. */
interface PartWriter {
  readonly commits: GroupCommit;
  readonly writer: Writer;
  readonly large: LargeValues;
  readonly write: (operation: BatchOperation) => Promise<Outcome>;
}

/** Returns what is left of `maxBytes`, and what says that they were all there is. */
function leftOf(maxBytes: number | undefined, outcomes: Outcomes): Partial<FoundLimit> {
  if (maxBytes === undefined) return [];
  let left = maxBytes;
  for (const outcome of outcomes)
    if (!(outcome instanceof DatabaseError) && outcome.kind === 'found') left -= outcome.entry.size;
  return [left, () => tooMuchFound(maxBytes)];
}
