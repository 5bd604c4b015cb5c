import { DatabaseError } from '../errors.js';
import { isDecided, type IdempotencyKey, type KeyedAnswer, type KeyedWrite } from '../storage/idempotency.js';
import type { BatchOperation, Operation, Outcome } from '../storage/operation.js';
import type { StorageEngine } from '../storage/storage-engine.js';

/** The writes of one request, which is done once, however often it is asked for. */
export class OnceWrites {
  /** @param note is told what the write came to, before that is answered */
  constructor(
    private readonly engine: StorageEngine,
    private readonly key: IdempotencyKey,
    private readonly note: (answer: KeyedAnswer) => void,
  ) {}

  /** Whether the write was done before. @throws DatabaseError `idempotency-mismatch` */
  async isDone(): Promise<boolean> {
    return (await this.engine.recall({ key: this.key, operations: [] })) !== undefined;
  }

  async write(operation: Operation): Promise<Outcome> {
    return this.only(await this.engine.writeOnce(this.single(operation)));
  }

  async batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const mode = atomic ? 'atomic' : 'pipeline';
    const answer = await this.engine.writeOnce({ key: this.key, mode, operations, maxBytes });
    this.note(answer);
    const [first] = answer.outcomes;
    if (atomic && first instanceof DatabaseError) throw first;
    return [...answer.outcomes];
  }

  /**
   * Puts a value that was computed from the entry with the tag in the condition, and returns what the edit came to, which
   * may have been done before.
   * @throws DatabaseError `precondition-failed` if the entry has changed meanwhile; this is not remembered
   */
  async putOver(put: Operation): Promise<Outcome | DatabaseError> {
    const write = { ...this.single(put), isAttempt: true, keepsValues: true };
    const answer = await this.engine.writeOnce(write);
    this.note(answer);
    return answer.outcomes[0]!;
  }

  /** Does the edit of an entry, which ends with `putOver`, unless it was done before; remembers what it was refused with. */
  async edit(key: string, work: () => Promise<Outcome | DatabaseError>): Promise<Outcome> {
    // Nothing of it but the key matters.
    const write = this.single({ op: 'get', key });
    const done = await this.engine.recall(write);
    if (done) return this.only(done);
    try {
      const outcome = await work();
      if (outcome instanceof DatabaseError) throw outcome;
      return outcome;
    } catch (error) {
      if (!isDecided(error)) throw error;
      return this.only(await this.engine.writeOnce({ ...write, refusal: error }));
    }
  }

  private single(operation: Operation): KeyedWrite {
    return { key: this.key, mode: 'single', operations: [operation] };
  }

  /** Returns what the only operation came to. @throws DatabaseError that it was refused with */
  private only(answer: KeyedAnswer): Outcome {
    this.note(answer);
    const [outcome] = answer.outcomes;
    if (outcome instanceof DatabaseError) throw outcome;
    return outcome!;
  }
}
