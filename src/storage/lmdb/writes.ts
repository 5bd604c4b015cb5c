import { DatabaseError } from '../../errors.js';
import type { Entry } from '../entry.js';
import { isDecided, type KeyedAnswer, type KeyedWrite } from '../idempotency.js';
import { sizeOf, type BatchOperation, type Operation, type Outcome } from '../operation.js';
import { finish, type Steps } from '../steps.js';
import type { Awaitable } from '../storage-engine.js';
import { LARGE_VALUE_BYTES } from '../value-memory.js';
import type { GroupCommit } from './group-commit.js';
import type { KeyedWrites } from './keyed-writes.js';
import { touchLarge, type LargeValues, type Touch } from './large-values.js';
import { applyInParts } from './pipeline.js';
import type { Writer } from './writer.js';

/** What takes more than a few milliseconds of the event loop. */
const LONG_OPERATIONS = 250;
const LONG_BYTES = 2 ** 20;

/** Brings writes into group commits; what large values need is done before. */
export class Writes {
  constructor(
    private readonly commits: GroupCommit,
    private readonly writer: Writer,
    private readonly keyed: KeyedWrites,
    private readonly large: LargeValues,
    private readonly get: (key: string) => Awaitable<Entry | undefined>,
  ) {}

  write(operation: Operation): Promise<Outcome> {
    const bytes = sizeOf(operation);
    if (operation.op === 'touch' && this.large.has(operation.key))
      return touchLarge(operation, this.get, (put) => this.write(put));
    if (bytes <= LARGE_VALUE_BYTES) return this.commits.submit(bytes, () => this.writer.apply(operation));
    return this.large
      .recordsOf([operation])
      .then((large) => this.commits.submit(bytes, () => this.writer.apply(operation), { large }));
  }

  async batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const { commits, writer, large } = this;
    if (atomic) return this.submit(operations, () => writer.applyAll(operations, maxBytes));
    const write = (operation: Operation) => this.write(operation);
    return applyInParts(operations, maxBytes, { commits, writer, large, write });
  }

  async once(write: KeyedWrite): Promise<KeyedAnswer> {
    const [first] = write.operations;
    const isLargeTouch = write.mode === 'single' && first?.op === 'touch' && this.large.has(first.key);
    if (isLargeTouch && !write.refusal) return this.touchOnce(write, first);
    return this.submit(write.operations, () => this.keyed.apply(write));
  }

  /** Does what needs one transaction, which pauses if it is long. */
  private async submit<T>(operations: readonly BatchOperation[], steps: () => Steps<T>): Promise<T> {
    const bytes = operations.reduce((sum, operation) => sum + sizeOf(operation), 0);
    const puts = await this.large.recordsOf(operations);
    return this.large.withRead(operations, (read, otherBytes) => {
      const isLong = operations.length > LONG_OPERATIONS || bytes + otherBytes > LONG_BYTES;
      const extras = { large: [...puts, ...read], steps: isLong ? steps : undefined };
      return this.commits.submit(bytes, () => finish(steps()), extras);
    });
  }

  /** What the touch is refused with is decided outside of the transaction, and remembered in one. */
  private async touchOnce(write: KeyedWrite, touch: Touch): Promise<KeyedAnswer> {
    const done = this.keyed.recall(write);
    if (done) return done;
    try {
      const attempt = (put: Operation) => this.once({ ...write, operations: [put], isAttempt: true });
      return await touchLarge(touch, this.get, attempt);
    } catch (error) {
      if (!isDecided(error)) throw error;
      return this.once({ ...write, refusal: error });
    }
  }
}
