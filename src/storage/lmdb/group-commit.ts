import { DatabaseError } from '../../errors.js';
import { diskFull } from './disk-space.js';

const DEADLINE_MS = 5_000;
const GIVE_UP_MS = 30_000;
const MAX_UNITS = 1024;
const MAX_BYTES = 16 * 2 ** 20;

/** What a commit needs of the store. */
export interface CommitTarget {
  /** Runs `work` inside one write transaction and resolves once that is durable; takes it back if `work` throws. */
  transaction(work: () => void): Promise<unknown>;
  /** Whether the disk has run out, to tell a full disk from a broken one. */
  isFull(): boolean;
  /** Called around the units of one transaction. */
  begin(): void;
  end(): void;
  /** Called when a transaction is on the disk and its callers have their answers. */
  committed?(): void;
  /** The store can no longer be trusted to take writes: the process has to end. */
  fail(error: Error): void;
}

interface Unit {
  readonly run: () => unknown;
  readonly bytes: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  value: unknown;
  error: Error | undefined;
}

/**
 * Group commit: every write that waits shares one transaction and one sync of the disk.
 *
 * Problem: a sync costs a hundred times what a put costs, and one at a time would bound the server to the disk's sync
 * rate. Design: units queue up while a commit is under way; the next transaction runs them all, one after the other,
 * inside one callback. Each unit decides and writes by itself; a DatabaseError it throws, before it has written
 * anything, is its own answer and disturbs no other. Guarantee: a caller is answered only when its commit is on the
 * disk. What a failure means is told apart: the disk is full (nothing was applied, work goes on), the outcome cannot be
 * known (the process ends, as PostgreSQL and Redis do after a failed sync: the kernel may have dropped the pages), or
 * the disk does not answer within 5 s (those in the commit hear `outcome-unknown`, those waiting `unavailable`).
 */
export class GroupCommit {
  private waiting: Unit[] = [];
  private running: Promise<void> | undefined;
  private stalled = false;
  private failed = false;

  constructor(private readonly target: CommitTarget) {}

  /** Runs `run` in the next transaction and resolves with its value once that is durable. */
  submit<T>(bytes: number, run: () => T): Promise<T> {
    if (!this.isWorking) return Promise.reject(unavailable());
    return new Promise((resolve, reject) => {
      this.waiting.push({
        run,
        bytes,
        resolve: resolve as Unit['resolve'],
        reject,
        value: undefined,
        error: undefined,
      });
      this.running ??= this.drain();
    });
  }

  /** Whether the disk confirms what it is given. */
  get isWorking(): boolean {
    return !this.stalled && !this.failed;
  }

  /** Whether a commit is under way. */
  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Resolves when nothing waits any more. */
  async settle(): Promise<void> {
    await this.running;
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) await this.commit();
    this.running = undefined;
  }

  private async commit(): Promise<void> {
    let taken: Unit[] = [];
    let thrown: Error | undefined;
    const deadline = setTimeout(() => this.miss(taken), DEADLINE_MS);
    const giveUp = setTimeout(() => this.fail(new Error('the disk has not answered for 30 s')), GIVE_UP_MS);
    try {
      await this.target.transaction(() => {
        taken = this.take();
        try {
          this.target.begin();
          for (const unit of taken) perform(unit);
          this.target.end();
        } catch (error) {
          thrown = error as Error;
          throw error;
        }
      });
      for (const unit of taken) answer(unit);
      this.target.committed?.();
    } catch (error) {
      // The transaction was taken back, so nothing has been applied.
      if (thrown === error) rejectAll(taken, unavailable(thrown));
      else await this.refuse(taken, error as Error & { commitError?: Promise<never> });
    } finally {
      clearTimeout(deadline);
      clearTimeout(giveUp);
      this.stalled = false;
    }
  }

  /** As many as fit one transaction, the oldest first, at least one. */
  private take(): Unit[] {
    let count = 0;
    let bytes = 0;
    while (count < this.waiting.length && count < MAX_UNITS && bytes < MAX_BYTES)
      bytes += this.waiting[count++]!.bytes;
    return this.waiting.splice(0, count);
  }

  private async refuse(
    taken: readonly Unit[],
    error: Error & { commitError?: Promise<never> },
  ): Promise<void> {
    // The library rejects `commitError` too, which would end the process if nobody listened.
    const cause = error.commitError ? await error.commitError.catch((reason: Error) => reason) : error;
    // A disk that is too full even to begin must not be tried again and again for the same units.
    if (this.target.isFull()) return rejectAll(taken.length > 0 ? taken : this.take(), diskFull());
    rejectAll(taken, outcomeUnknown(cause));
    this.fail(cause);
  }

  private miss(taken: readonly Unit[]): void {
    this.stalled = true;
    rejectAll(taken, outcomeUnknown());
    rejectAll(this.waiting.splice(0), unavailable());
  }

  private fail(error: Error): void {
    if (this.failed) return;
    this.failed = true;
    rejectAll(this.waiting.splice(0), unavailable());
    this.target.fail(error);
  }
}

function perform(unit: Unit): void {
  try {
    unit.value = unit.run();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    unit.error = error;
  }
}

function answer({ error, value, resolve, reject }: Unit): void {
  if (error) reject(error);
  else resolve(value);
}

function rejectAll(units: readonly Unit[], error: DatabaseError): void {
  for (const unit of units) unit.reject(error);
}

function outcomeUnknown(cause?: Error): DatabaseError {
  return new DatabaseError(
    'outcome-unknown',
    'The disk did not confirm the write, which may or may not have been applied. Read the key before repeating it.',
    {},
    { cause },
  );
}

function unavailable(cause?: Error): DatabaseError {
  return new DatabaseError(
    'unavailable',
    'The database does not take writes at present. Nothing was applied; try again.',
    {},
    { cause },
  );
}
