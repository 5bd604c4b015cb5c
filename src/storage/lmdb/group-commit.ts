import { DatabaseError } from '../../errors.js';
import { inSlices, type Steps } from '../steps.js';
import { commitOperations, commitSeconds } from '../storage-meters.js';
import { ForgottenCommitError } from './commit-numbers.js';
import {
  corruptStore,
  internal,
  outcomeUnknown,
  queueFull,
  unavailable,
  waitedTooLong,
} from './commit-refusals.js';
import type { LargeRecord } from './large-record.js';
import { diskFull } from './disk-space.js';
import { isDamage } from './tree.js';
import { rejectAll, runUnit, settleUnit, type Unit } from './unit.js';
import { WriteQueue } from './write-queue.js';

const DEADLINE_S = 5;
const FAIL_AFTER_S = 30;
const MAX_WAIT_S = 5;
const MAX_FORGOTTEN = 5;
/** How long the units of one transaction keep the event loop, milliseconds; one that takes longer is alone, and may pause. */
const WORK_MS = 10;

/** What group commit needs of the store. */
export interface CommitTarget {
  /**
   * Runs `work` in one write transaction, after which those of the `large` records are stored that it has accepted, and
   * resolves once all is durable. Rolls it back if `work` throws. What `work` returns is the rest of it, of which each step
   * comes in a turn of the event loop of its own.
   */
  transaction(work: () => Steps<void> | void, large: readonly LargeRecord[]): Promise<unknown>;
  /** Returns whether `error` came from a full disk, which tells it from a broken one. */
  isFull(error: Error): boolean;
  /**
   * Called inside the transaction, before its units run. Returns why they are refused, if they are.
   * @param goesOn whether it begins with units that were left of the transaction before it
   */
  begin(large: readonly LargeRecord[], goesOn: boolean): DatabaseError | undefined;
  /** Called inside the transaction after `begin` if it may pause. */
  preparePauses(): void;
  /** Throws inside a transaction that has failed without an error. */
  check(): void;
  /** Has LMDB look up its last commit again, after a ForgottenCommitError. */
  remember(): Promise<void>;
  /** Called inside the transaction, after its units have run. */
  end(): void;
  /** Called after a transaction is on the disk and its callers have their results. */
  committed(): void;
  /** Called once when the store must take no more writes: the process has to end. */
  fail(error: Error): void;
}

/** What few units have. */
interface Extras {
  /** Whether it runs in a database that has moved, too. */
  readonly passesFence?: boolean;
  /** The records of its large values (large-record.ts). */
  readonly large?: readonly LargeRecord[];
  /** Whether it goes on with what an earlier one has begun, so that it is not refused for want of space. */
  readonly goesOn?: boolean;
  /** The steps of its work, which are done instead of `run`, if it is so long that the transaction should pause. */
  readonly steps?: (() => Steps<unknown>) | undefined;
}

/**
 * Group commit: all writes that wait share one transaction and one sync of the disk.
 *
 * Problem: a sync costs a hundred times what a put costs, so one sync for each put would bound the server to the sync
 * rate of the disk. Design: units wait while a commit is under way; the next transaction runs all of them, one after the
 * other. Each unit decides and writes by itself. A unit that throws a DatabaseError, which it must do before it writes
 * anything, fails alone. A unit that throws anything else, or meets a damaged page, spoils the transaction: it is rolled
 * back, all units run again, each is checked, and the one that spoils it again fails alone. Guarantee: a promise resolves
 * only after its commit is on the disk.
 *
 * A unit whose work is long does it in steps, and its transaction pauses between them (pauses.ts).
 *
 * Failures are told apart. The disk is full: nothing was applied, and work goes on. The commit failed otherwise: the
 * outcome is unknown and the process ends, as PostgreSQL and Redis do after a failed sync, because the kernel may have
 * dropped the pages. The disk does not answer within 5 s: units in the commit fail with `outcome-unknown` and waiting
 * ones with `unavailable`; after 30 s the process ends. The disk is only slow: what has waited 5 s, or does not fit the
 * queue, is `busy`.
 *
 * Seconds are counted by a timer, and a turn of the event loop that takes longer counts as one: while the loop is held,
 * nobody hears the answer of the disk, so that time says nothing about it.
 */
export class GroupCommit {
  private readonly queue = new WriteQueue();
  private running: Promise<void> | undefined;
  /** The units of the transaction under way. */
  private committing: readonly Unit[] = [];
  /** The unit that runs, or that has thrown. */
  private current: Unit | undefined;
  /** How many units of an earlier transaction have been left to the next. */
  private rest = 0;
  /** Seconds that commits have taken so far. */
  private seconds = 0;
  /** The second in which the commit under way began. */
  private commitBegan = 0;
  private underWay: Promise<void> | undefined;
  /** How many have others wait, and what ends the wait. */
  private holds = 0;
  private goOn: () => void = () => undefined;
  private stalled = false;
  private failed = false;
  /** Whether the last transaction was spoiled, so that each unit of the next one is checked. */
  private isCareful = false;
  /** How many transactions in a row did not follow the last commit. */
  private forgotten = 0;

  constructor(private readonly target: CommitTarget) {}

  /** Runs `run` in the next transaction and resolves with its result once that is durable. */
  submit<T>(bytes: number, run: () => T, extras: Extras = {}): Promise<T> {
    const { passesFence = false, large = [], goesOn = false, steps } = extras;
    if (!this.isWorking) return Promise.reject(unavailable());
    if (!goesOn && !this.queue.fits(bytes)) return Promise.reject(queueFull(this.queue.limit));
    return new Promise((resolve, reject) => {
      this.queue.add({
        run,
        steps,
        passesFence,
        large,
        bytes,
        since: this.seconds,
        resolve: resolve as Unit['resolve'],
        reject,
        value: undefined,
        error: undefined,
      });
      this.running ??= this.drain();
    });
  }

  /** Whether the disk confirms writes at present. */
  get isWorking(): boolean {
    return !this.stalled && !this.failed;
  }

  /** Size of the units that wait, bytes. */
  get waitingBytes(): number {
    return this.queue.bytes;
  }

  /** Whether a commit is under way. */
  get isRunning(): boolean {
    return this.underWay !== undefined;
  }

  /** Lets no commit begin, waits for the one under way, and resolves to what lets them go on. */
  async hold(): Promise<() => void> {
    this.holds++;
    await this.underWay;
    return () => {
      if (--this.holds === 0) this.goOn();
    };
  }

  /** Resolves once no unit waits or runs. */
  async settle(): Promise<void> {
    await this.running;
  }

  private async drain(): Promise<void> {
    const timer = setInterval(() => this.passSecond(), 1000);
    while (!this.queue.isEmpty) {
      if (this.holds > 0) await new Promise<void>((resolve) => (this.goOn = resolve));
      else await (this.underWay = this.commit());
    }
    clearInterval(timer);
    this.running = undefined;
  }

  private async commit(): Promise<void> {
    let thrown: Error | undefined;
    this.commitBegan = this.seconds;
    const start = performance.now();
    const large = this.queue.announce();
    try {
      await this.target.transaction(() => {
        const work = this.work(large, (error) => (thrown = error));
        return work.next().done ? undefined : work;
      }, large);
      commitSeconds.observe((performance.now() - start) / 1000);
      commitOperations.observe(this.committing.length);
      this.isCareful = false;
      this.forgotten = 0;
      for (const unit of this.committing) settleUnit(unit);
      this.target.committed();
    } catch (error) {
      // An error that `work` has thrown rolled the transaction back, so nothing was applied.
      if (thrown && thrown === error) this.retry(this.current, this.committing, thrown);
      else if (error instanceof ForgottenCommitError) await this.remember(error);
      else await this.rejectFailed(this.committing, error as CommitError);
    } finally {
      this.committing = [];
      this.stalled = false;
      this.underWay = undefined;
    }
  }

  /** Does the work of a transaction. */
  private *work(large: readonly LargeRecord[], note: (error: Error) => void): Steps<void> {
    this.committing = this.queue.takeForCommit();
    try {
      const refusal = this.target.begin(large, this.rest > 0);
      if (this.committing[0]?.steps) this.target.preparePauses();
      yield* this.runUnits(refusal);
      this.target.end();
      this.target.check();
    } catch (error) {
      note(error as Error);
      throw error;
    }
  }

  /** Runs the units that were taken, for some milliseconds, and leaves the rest to the next transaction. */
  private *runUnits(refusal: DatabaseError | undefined): Steps<void> {
    const until = performance.now() + WORK_MS;
    let ran = 0;
    while (ran < this.committing.length && (ran === 0 || performance.now() <= until)) {
      this.current = this.committing[ran++]!;
      for (const _pause of inSlices(runUnit(this.current, refusal), WORK_MS)) {
        yield;
        // That says nothing about the disk.
        this.commitBegan = this.seconds;
      }
      if (this.isCareful) this.target.check();
    }
    this.current = undefined;
    const left = this.committing.slice(ran);
    this.rest = left.length === 0 || this.rest === 0 ? left.length : Math.max(0, this.rest - ran);
    this.queue.putBack(left);
    this.committing = this.committing.slice(0, ran);
  }

  /** Has LMDB look up its last commit again. The units still wait. */
  private async remember(error: ForgottenCommitError): Promise<void> {
    if (++this.forgotten > MAX_FORGOTTEN) return this.fail(error);
    await this.target.remember();
  }

  /** Runs the units of a spoiled transaction again. The second time, those that `spoiler` is not, or fails all without one. */
  private retry(spoiler: Unit | undefined, units: readonly Unit[], error: Error): void {
    // After the deadline the callers have their answers.
    if (this.stalled) return;
    if (!this.isCareful) {
      this.isCareful = true;
      this.queue.putBack(units);
    } else if (spoiler) {
      spoiler.reject(error instanceof DatabaseError ? error : internal(error));
      this.queue.putBack(units.filter((unit) => unit !== spoiler));
    } else {
      rejectAll(units, error instanceof DatabaseError ? error : unavailable(error));
    }
  }

  private async rejectFailed(units: readonly Unit[], error: CommitError): Promise<void> {
    // Awaited because the library rejects `commitError` too, and an unhandled rejection would end the process.
    const cause = error.commitError ? await error.commitError.catch((reason: Error) => reason) : error;
    // A transaction that could not begin has taken no units: without this they would be tried for ever.
    const concerned = () => (units.length > 0 ? units : this.queue.takeForCommit());
    if (this.target.isFull(cause)) return rejectAll(concerned(), diskFull());
    // LMDB meets damaged pages, of its list of free pages for example, before it writes any.
    if (isDamage(cause)) return rejectAll(concerned(), corruptStore(cause));
    rejectAll(units, outcomeUnknown(cause));
    this.fail(cause);
  }

  private passSecond(): void {
    this.seconds++;
    const silence = this.isRunning ? this.seconds - this.commitBegan : 0;
    if (silence >= FAIL_AFTER_S)
      this.fail(
        new Error(`neither the disk nor whoever has its write lock has answered for ${FAIL_AFTER_S} s`),
      );
    else if (silence === DEADLINE_S) this.stall();
    else rejectAll(this.queue.takeOlder(this.seconds - MAX_WAIT_S), waitedTooLong(MAX_WAIT_S));
  }

  private stall(): void {
    this.stalled = true;
    rejectAll(this.committing, outcomeUnknown());
    rejectAll(this.queue.takeAll(), unavailable());
  }

  private fail(error: Error): void {
    if (this.failed) return;
    this.failed = true;
    rejectAll(this.queue.takeAll(), unavailable());
    this.target.fail(error);
  }
}

/** The error of a failed commit; the library may hide the cause in a promise of its own. */
type CommitError = Error & { commitError?: Promise<never> };
