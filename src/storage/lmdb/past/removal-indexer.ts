import { DatabaseError } from '../../../errors.js';
import { giveWay } from '../../../event-loop.js';
import type { DiskSpace } from '../disk-space.js';
import type { GroupCommit } from '../group-commit.js';
import { Segment } from '../log-segment.js';
import type { Store } from '../store.js';
import { segmentAt } from './log-lookup.js';
import { addRemovals, readMark, removalKey, staleRemovals, writeMark, type Mark } from './removals.js';

const LOOK_EVERY_MS = 1000;
/** How many changes may be in the log that the index does not know, before it is made to know them. */
const LEAST_CHANGES = 256;
/** What is read of the log at once, and for one commit. */
const READ_BYTES = 256 * 1024;
const STEP_BYTES = 4 * 2 ** 20;
/** Removals that one commit adds or takes out, about. */
const AT_ONCE = 2000;

/** Removals that have been read of the log. */
interface Found {
  readonly removals: Buffer[];
  /** How far the log has been read. */
  indexed: number;
  bytes: number;
}

/**
 * Keeps the index of removals: adds what the log has, and takes out what has left it.
 *
 * Problem: with a page of the index for each removal, in its own transaction, a removal would cost twice as much. Design: once a
 * second the log is read on from the mark of the index, and thousands of removals are added in the order of their keys by one
 * unit of a group commit. What has left the log stays until that is half of what the index may have; whoever reads passes over
 * it. Several processes may do this for one store: a unit that finds the mark moved does nothing. Guarantee: a write costs
 * nothing more, and what is not in the index are the changes of about a second, through which a reader can look.
 */
export class RemovalIndexer {
  private readonly timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private isStopped = false;

  constructor(
    private readonly store: Store,
    private readonly commits: GroupCommit,
    private readonly space: DiskSpace,
    isReadOnly = false,
  ) {
    if (!isReadOnly) this.timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  /** Resolves when the store is not used any more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.timer);
    await this.working?.catch(() => undefined);
  }

  /** Returns once every removal up to now is in the index. @throws DatabaseError as a write does, `corrupt` */
  async catchUp(): Promise<void> {
    const { sequence } = this.head();
    while (readMark(this.store).indexed < sequence && !this.isStopped) await this.run();
  }

  private look(): void {
    this.store.faults.guard(() => {
      const { sequence } = this.head();
      if (sequence - readMark(this.store).indexed < LEAST_CHANGES) return;
      if (this.space.available() === 0) return; // The pages that are left are for deletes.
      // The next look tries again what the store refuses at present.
      this.run().catch((error: unknown) => {
        if (!(error instanceof DatabaseError) || error.code === 'corrupt') this.store.faults.note(error);
      });
    });
  }

  /** One runs at a time. */
  private run(): Promise<void> {
    this.working ??= this.work().finally(() => (this.working = undefined));
    return this.working;
  }

  private async work(): Promise<void> {
    while (!this.isStopped) {
      const mark = readMark(this.store);
      const found = await this.read(mark);
      if (found.indexed === mark.indexed) break;
      found.removals.sort((a, b) => Buffer.compare(a, b));
      await this.commit(mark, { ...mark, indexed: found.indexed }, () =>
        addRemovals(this.store, found.removals),
      );
    }
    await this.sweep();
  }

  /** Reads the log on from the mark, as much of it as one commit takes. */
  private async read({ indexed }: Mark): Promise<Found> {
    const found: Found = { removals: [], indexed, bytes: 0 };
    for (let more = true; more && !this.isStopped;) {
      more = this.readPiece(found) && found.removals.length < AT_ONCE && found.bytes < STEP_BYTES;
      await giveWay();
    }
    return found;
  }

  /** Returns whether there is more. */
  private readPiece(found: Found): boolean {
    const { log } = this.store;
    const start = found.indexed;
    this.store.freshen();
    let bytes = 0;
    for (const { value } of log.getRange({ start: segmentAt(log, start + 1) })) {
      const segment = Segment.parse(value);
      // The check and the scrub tell of a damaged segment. The removals in it are lost.
      if (segment && segment.last.sequence > start) {
        for (const change of segment.changes())
          if (change.kind !== 'put' && change.sequence > start)
            found.removals.push(removalKey(change.key, change.sequence));
        found.indexed = segment.last.sequence;
      }
      bytes += value.length;
      if (bytes >= READ_BYTES || found.removals.length >= AT_ONCE) break;
    }
    found.bytes += bytes;
    return found.indexed > start && bytes >= READ_BYTES;
  }

  /** Takes out what has left the log, once that may be half of the index. */
  private async sweep(): Promise<void> {
    const { log, sequence } = this.head();
    const floor = log.floor.sequence;
    if (floor - readMark(this.store).swept <= Math.max(AT_ONCE, (sequence - floor) / 2)) return;
    for (let from: Buffer | undefined, more = true; more && !this.isStopped;) {
      const { stale, next } = staleRemovals(this.store, from, floor, AT_ONCE);
      if (stale.length > 0 && !this.isStopped)
        await this.commits.submit(
          0,
          () => {
            for (const removal of stale) void this.store.removals.remove(removal);
          },
          { passesFence: true },
        );
      await giveWay();
      from = next;
      more = next !== undefined;
    }
    const mark = readMark(this.store);
    await this.commit(mark, { ...mark, swept: floor }, () => undefined);
  }

  /** Moves the mark from `before` to `after` with `write`, unless another process has moved it. The index is no data: a fence lets it pass. */
  private async commit(before: Mark, after: Mark, write: () => void): Promise<void> {
    if (this.isStopped) return;
    const unit = (): void => {
      const { indexed, swept } = readMark(this.store);
      if (indexed !== before.indexed || swept !== before.swept) return;
      write();
      writeMark(this.store, after);
    };
    await this.commits.submit(0, unit, { passesFence: true });
  }

  private head() {
    this.store.freshen();
    return this.store.readHead();
  }
}
