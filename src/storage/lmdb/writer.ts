import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import { moved } from '../fence.js';
import type { Applier, FoundLimit } from '../idempotency.js';
import {
  decide,
  FoundBytes,
  isUnconditional,
  needsValue,
  tooMuchFoundAtOnce,
  type Operation,
  type Outcome,
} from '../operation.js';
import { nextEpoch } from '../revision.js';
import type { Steps } from '../steps.js';
import { changes } from '../storage-meters.js';
import { LARGE_VALUE_BYTES } from '../value-memory.js';
import type { ChangeLogWriter } from './change-log.js';
import type { DiskSpace } from './disk-space.js';
import { expiryKey, splitExpiryKey } from './keys.js';
import { LargeEntries } from './large-entries.js';
import type { LargeRecord } from './large-record.js';
import type { PlannedChange } from './planned-change.js';
import {
  expiresOf,
  MOST_AROUND_VALUE,
  PlainEntry,
  revisionOf,
  unreadableEntry,
  type StoredEntry,
} from './record.js';
import type { Store } from './store.js';
import type { Head } from './store-format.js';
import { DamagedPageError } from './tree.js';

/** LMDB needs a value for each key of the expiry index. */
const INDEX_VALUE = Buffer.alloc(1);

const MAX_FOUND_BYTES = 64 * 2 ** 20;

/**
 * Applies operations inside the write transaction.
 *
 * Many callers share the transaction, so the operations of one of them cannot be rolled back. They are therefore planned
 * first, against the store and the changes planned before, and written only when none of them has been refused.
 */
export class Writer implements Applier {
  private head!: Head;
  private startSequence = 0;
  /** This process's epoch, taken at its first write. */
  private epoch = 0;
  private isLogStuck = false;
  /** What the batches of the transaction read, which is in memory until each has its answer. */
  private found = new FoundBytes();
  /** What the present batch reads. */
  private reading = new FoundBytes();
  private readonly large = new LargeEntries();
  /** How many changes of each kind the transaction has made. */
  private made = { put: 0, delete: 0, expire: 0 };

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly space: DiskSpace,
    private readonly log: ChangeLogWriter,
    private readonly passesFence = false,
  ) {}

  /**
   * Begins a transaction, after which those of the `records` are stored that are accepted in it. Returns the refusal of all
   * writes of a database that has moved.
   * @param goesOn whether what the last one read counts, too
   */
  begin(records: readonly LargeRecord[], goesOn: boolean): DatabaseError | undefined {
    this.log.begin();
    this.large.begin(records);
    this.made = { put: 0, delete: 0, expire: 0 };
    if (!goesOn) this.found = new FoundBytes(MAX_FOUND_BYTES, undefined, tooMuchFoundAtOnce);
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
    this.large.end((record) => this.store.accept(record));
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
    this.beginBatch();
    return this.applyOne(operation);
  }

  private beginBatch(...[maxBytes, refusal]: Partial<FoundLimit>): FoundBytes {
    this.large.beginBatch();
    return (this.reading = new FoundBytes(maxBytes, this.found, refusal));
  }

  private applyOne(operation: Operation): Outcome {
    const changes: PlannedChange[] = [];
    const outcome = this.plan(operation, this.read(operation), changes);
    for (const change of changes) this.writeChange(change);
    return outcome;
  }

  /**
   * Applies operations one by one; the error of a refused one takes the place of its outcome.
   *
   * @throws DamagedPageError if the transaction can do no more
   */
  *applyEach(
    operations: readonly Operation[],
    ...limit: Partial<FoundLimit>
  ): Steps<(Outcome | DatabaseError)[]> {
    const found = this.beginBatch(...limit);
    const outcomes: (Outcome | DatabaseError)[] = [];
    for (const operation of operations) {
      outcomes.push(this.attempt(operation, found));
      yield;
    }
    return outcomes;
  }

  /** Does the same with as many operations as it gets to until a time of `performance.now()`, at least with the first. */
  applyUntil(
    until: number,
    operations: readonly Operation[],
    ...limit: Partial<FoundLimit>
  ): (Outcome | DatabaseError)[] {
    const found = this.beginBatch(...limit);
    const outcomes: (Outcome | DatabaseError)[] = [];
    for (const operation of operations) {
      outcomes.push(this.attempt(operation, found));
      if (performance.now() > until) break;
    }
    return outcomes;
  }

  private attempt(operation: Operation, found: FoundBytes): Outcome | DatabaseError {
    try {
      const outcome = this.applyOne(operation);
      found.add(outcome);
      return outcome;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error instanceof DamagedPageError) throw error;
      return error;
    }
  }

  /** Applies all operations or none. @throws DatabaseError of the first that is refused, with its index */
  *applyAll(operations: readonly Operation[], ...limit: Partial<FoundLimit>): Steps<Outcome[]> {
    const found = this.beginBatch(...limit);
    // An entry that the batch has removed is null.
    const latest = new Map<string, StoredEntry | null>();
    const changes: PlannedChange[] = [];
    const outcomes: Outcome[] = [];
    for (const [index, operation] of operations.entries()) {
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
      yield;
    }
    for (const change of changes) {
      this.writeChange(change);
      yield;
    }
    return outcomes;
  }

  /** Removes the entry of a key of the expiry index, unless it has changed since. */
  removeExpired(indexed: Buffer): void {
    const { expires, key } = splitExpiryKey(indexed);
    // Of a large value all would be copied into new memory.
    const accepted = this.large.acceptedUnder(key);
    const record = accepted ? undefined : this.store.entries.borrow(key);
    void this.store.expiry.remove(indexed);
    if ((accepted?.expires ?? (record && expiresOf(record))) !== expires) return;
    const replaces = accepted?.sequence ?? revisionOf(record!)?.sequence ?? 0;
    this.remove(key);
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
        if (operation.op === 'touch') this.large.countTouched(value);
        this.space.claim(this.large.bytesOf(value) + key.length);
        const { epoch } = this.head;
        const sequence = ++this.head.sequence;
        const after = new PlainEntry({ key, value, type, created, modified: now, expires, epoch, sequence });
        changes.push({ before: live, after, sequence, by });
        return { kind: live ? 'updated' : 'created', entry: after };
      }
    }
  }

  private writeChange({ before, after, sequence, by, expired = false }: PlannedChange): void {
    const circumstances = { replaces: before?.sequence, by };
    if (before && before.expires !== 0 && before.expires !== after?.expires) {
      void this.store.expiry.remove(expiryKey(before.expires, before.key));
    }
    if (!after) {
      this.remove(before!.key);
      this.made[expired ? 'expire' : 'delete']++;
      this.log.remove(this.head, sequence, before!.key, expired, circumstances);
      return;
    }
    this.made.put++;
    if (this.large.accept(after)) this.log.putLarge(this.head, after, circumstances);
    else void this.store.entries.put(after.key, this.log.put(this.head, after, circumstances));
    if (after.expires !== 0) void this.store.expiry.put(expiryKey(after.expires, after.key), INDEX_VALUE);
  }

  private remove(key: string): void {
    this.large.forget(key);
    void this.store.entries.remove(key);
  }

  /** Reads the entry under the operation's key, expired or not, with its value only if the operation needs that. */
  private read(operation: Operation): StoredEntry | undefined {
    const { key } = operation;
    const { entries } = this.store;
    // An `incr` of a large value fails whatever that is.
    const known = this.large.find(key, needsValue(operation) && operation.op !== 'incr');
    if (known) return known;
    let withValue = needsValue(operation);
    let record = withValue ? entries.getUpTo(key, LARGE_VALUE_BYTES) : entries.borrow(key);
    if (typeof record === 'number') {
      withValue = operation.op !== 'incr';
      // What is too much is not read.
      if (operation.op === 'get') this.reading.check(record - MOST_AROUND_VALUE);
      const readBefore = this.large.readFor(key, () => this.store.decode(key, entries.borrow(key)!, false));
      if (readBefore) return readBefore;
      record = withValue ? entries.getBinary(key) : entries.borrow(key);
    }
    if (!record) return undefined;
    try {
      const entry = this.store.decode(key, record, withValue);
      if (!withValue) this.large.see(entry);
      return entry;
    } catch (error) {
      if (isUnconditional(operation)) return unreadableEntry(key, this.head.now);
      throw error;
    }
  }
}
