import { DatabaseError } from '../../errors.js';
import type { FoundLimit } from '../idempotency.js';
import { FoundBytes, type BatchOperation, type Outcome } from '../operation.js';

/** Applies a pipeline, each operation in a transaction of its own: one that a damaged page spoils fails alone. */
export async function writeEach(
  write: (operation: BatchOperation) => Promise<Outcome>,
  operations: readonly BatchOperation[],
  ...[maxBytes, refusal]: Partial<FoundLimit>
): Promise<(Outcome | DatabaseError)[]> {
  const found = new FoundBytes(maxBytes, undefined, refusal);
  const outcomes: (Outcome | DatabaseError)[] = [];
  for (const operation of operations) {
    try {
      const outcome = await write(operation);
      found.add(outcome);
      outcomes.push(outcome);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      outcomes.push(error);
    }
  }
  return outcomes;
}
