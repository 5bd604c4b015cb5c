import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import { moved } from '../fence.js';
import { decide, FoundBytes, tooMuchFoundAtOnce, type Operation, type Outcome } from '../operation.js';
import { nextEpoch } from '../revision.js';
import { changes } from '../storage-meters.js';
import type { ChangeLogWriter } from './change-log.js';
import type { DiskSpace } from './disk-space.js';
import { expiryKey, splitExpiryKey } from './keys.js';
import { expiresOf, PlainEntry, revisionOf, unreadableEntry, type StoredEntry } from './record.js';
import type { Store } from './store.js';
import type { Head } from './store-format.js';
import { DamagedPageError } from './tree.js';

/** LMDB needs a value for each key of the expiry index. */
const INDEX_VALUE = Buffer.alloc(1);

const MAX_FOUND_BYTES = 64 * 2 ** 20;

/** A change of one key that is planned and not written yet. */
interface PlannedChange {
  readonly before: StoredEntry | undefined;
  readonly after: StoredEntry | undefined;
  readonly sequence: number;
  readonly by?: string | undefined;
  /** Whether the entry has expired rather than been deleted. */
  readonly expired?: boolean;
}

/**
 * Applies operations inside the write transaction.
 *
 * Many callers share the transaction, so the operations of one of them cannot be rolled back. They are therefore planned
 * first, against the store and the changes planned before, and written only when none of them has been refused.
 */
export class Writer {
  private head!: Head;
  private startSequence = 0;
  /** This process's epoch, taken at its first write. */
  private epoch = 0;
  private isLogStuck = false;
  /** What the batches of the transaction read, which is in memory until each has its answer. */
  private found = new FoundBytes();
  /** How many changes of each kind the transaction has made. */
  private made = { put: 0, delete: 0, expire: 0 };

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly space: DiskSpace,
    private readonly log: ChangeLogWriter,
    private readonly passesFence = false,
  ) {}

  /** Begins a transaction. Returns the refusal of all writes of a database that has moved. */
  begin(): DatabaseError | undefined {
    this.log.begin();
    this.made = { put: 0, delete: 0, expire: 0 };
    this.found = new FoundBytes(MAX_FOUND_BYTES, undefined, tooMuchFoundAtOnce);
    this.head = this.store.readHead();
    this.startSequence = this.head.sequence;
    const now = this.clock.now();
    this.epoch ||= nextEpoch(now, this.head.epoch);
    this.head.epoch = Math.max(this.head.epoch, this.epoch);
    this.head.now = Math.max(this.head.now, now);
    const place = this.store.fence();
    return place === undefined || this.passesFence ? undefined : moved(place);
  }

  /** Ends a transaction. Returns whether it has changed anything. */
  end(): boolean {
    if (this.head.sequence === this.startSequence) return false;
    this.log.flush(this.head);
    this.trimLog();
    this.store.writeHead(this.head);
    return true;
  }

  /** Counts the changes of a transaction that is on the disk. */
  countChanges(): void {
    const { made } = this;
    for (const kind of ['put', 'delete', 'expire'] as const) changes.by[kind] += made[kind];
  }

  /** Drops old changes, until a damaged page of the log is met: no write would succeed any more if it went on. */
  private trimLog(): void {
    if (this.isLogStuck) return;
    try {
      this.log.trim(this.head);
    } catch (error) {
      this.isLogStuck = error instanceof DamagedPageError;
      throw error;
    }
  }

  /** Applies one operation. @throws DatabaseError if it is refused; nothing is written then */
  apply(operation: Operation): Outcome {
    const changes: PlannedChange[] = [];
    const outcome = this.plan(operation, this.read(operation), changes);
    this.writeChanges(changes);
    return outcome;
  }

  /**
   * Applies operations one by one; the error of a refused one takes the place of its outcome.
   *
   * @throws DamagedPageError if the transaction can do no more
   */
  applyEach(operations: readonly Operation[], maxBytes?: number): (Outcome | DatabaseError)[] {
    const found = new FoundBytes(maxBytes, this.found);
    return operations.map((operation) => {
      try {
        const outcome = this.apply(operation);
        found.add(outcome);
        return outcome;
      } catch (error) {
        if (!(error instanceof DatabaseError) || error instanceof DamagedPageError) throw error;
        return error;
      }
    });
  }

  /** Applies all operations or none. @throws DatabaseError of the first that is refused, with its index */
  applyAll(operations: readonly Operation[], maxBytes?: number): Outcome[] {
    const found = new FoundBytes(maxBytes, this.found);
    // An entry that the batch has removed is null.
    const latest = new Map<string, StoredEntry | null>();
    const changes: PlannedChange[] = [];
    const outcomes: Outcome[] = [];
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]!;
      const before = changes.length;
      try {
        const planned = latest.get(operation.key);
        const stored = planned === undefined ? this.read(operation) : (planned ?? undefined);
        const outcome = this.plan(operation, stored, changes);
        found.add(outcome);
        outcomes.push(outcome);
      } catch (error) {
        // The sequence is not taken back: the error may name a tag of the plan.
        if (!(error instanceof DatabaseError)) throw error;
        throw error.with({ index });
      }
      if (changes.length > before) latest.set(operation.key, changes.at(-1)!.after ?? null);
    }
    this.writeChanges(changes);
    return outcomes;
  }

  /** Removes the entry of a key of the expiry index, unless it has changed since. */
  removeExpired(indexed: Buffer): void {
    const { expires, key } = splitExpiryKey(indexed);
    // Of a large value all would be copied into new memory.
    const record = this.store.entries.borrow(key);
    void this.store.expiry.remove(indexed);
    if (!record || expiresOf(record) !== expires) return;
    const replaces = revisionOf(record)?.sequence ?? 0;
    void this.store.entries.remove(key);
    this.made.expire++;
    this.log.remove(this.head, ++this.head.sequence, key, true, { replaces, by: undefined });
  }

  /** Decides `operation` for the `stored` entry, live or expired, and appends its changes. */
  private plan(operation: Operation, stored: StoredEntry | undefined, changes: PlannedChange[]): Outcome {
    const { now } = this.head;
    const live = stored && (stored.expires === 0 || stored.expires > now) ? stored : undefined;
    const effect = decide(operation, live, now);
    if (stored && !live) {
      changes.push({ before: stored, after: undefined, sequence: ++this.head.sequence, expired: true });
    }
    switch (effect.kind) {
      case 'none':
        return effect.outcome;
      case 'remove':
        changes.push({ before: live, after: undefined, sequence: ++this.head.sequence, by: operation.by });
        return effect.outcome;
      case 'write': {
        const { value, type, created, expires } = effect;
        const { key, by } = operation;
        this.space.claim(value.length + key.length);
        const { epoch } = this.head;
        const sequence = ++this.head.sequence;
        const after = new PlainEntry({ key, value, type, created, modified: now, expires, epoch, sequence });
        changes.push({ before: live, after, sequence, by });
        return { kind: live ? 'updated' : 'created', entry: after };
      }
    }
  }

  private writeChanges(planned: readonly PlannedChange[]): void {
    for (const { before, after, sequence, by, expired = false } of planned) {
      const circumstances = { replaces: before?.sequence, by };
      if (before && before.expires !== 0 && before.expires !== after?.expires) {
        void this.store.expiry.remove(expiryKey(before.expires, before.key));
      }
      if (!after) {
        void this.store.entries.remove(before!.key);
        this.made[expired ? 'expire' : 'delete']++;
        this.log.remove(this.head, sequence, before!.key, expired, circumstances);
        continue;
      }
      this.made.put++;
      void this.store.entries.put(after.key, this.log.put(this.head, after, circumstances));
      if (after.expires !== 0) void this.store.expiry.put(expiryKey(after.expires, after.key), INDEX_VALUE);
    }
  }

  /** Reads the entry under the operation's key, expired or not, with its value only if the operation needs that. */
  private read(operation: Operation): StoredEntry | undefined {
    const { key } = operation;
    const withValue = needsValue(operation);
    const record = withValue ? this.store.entries.getBinary(key) : this.store.entries.borrow(key);
    if (!record) return undefined;
    try {
      return this.store.decode(key, record, withValue);
    } catch (error) {
      if (isUnconditional(operation)) return unreadableEntry(key, this.head.now);
      throw error;
    }
  }
}

function needsValue(operation: Operation): boolean {
  return operation.op !== 'put' && operation.op !== 'delete' && operation.op !== 'check';
}

/** Whether `operation` overwrites or deletes its entry whatever that is. */
function isUnconditional(operation: Operation): boolean {
  return (operation.op === 'put' || operation.op === 'delete') && operation.condition === undefined;
}
