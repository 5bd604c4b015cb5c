import { DatabaseError } from '../../errors.js';
import type { Clock } from '../clock.js';
import { decide, FoundBytes, type Operation, type Outcome } from '../operation.js';
import { nextEpoch } from '../revision.js';
import type { ChangeLogWriter } from './change-log.js';
import type { DiskSpace } from './disk-space.js';
import { expiryKey, firstAfter, splitExpiryKey } from './keys.js';
import { decode, decodeHeader, expiresOf, PlainEntry, unreadable, type StoredEntry } from './record.js';
import type { Head, Store } from './store.js';

const SWEEP_AT_ONCE = 1000;
const INDEXED = Buffer.alloc(1);

/** One key's step from what is stored to what will be. */
interface Change {
  readonly before: StoredEntry | undefined;
  readonly after: StoredEntry | undefined;
  readonly sequence: number;
  /** Whether nobody did it but time. */
  readonly expired?: boolean;
}

/**
 * What happens inside the write transaction. Operations are planned first, against the store and against what the plan
 * has changed so far, and written only once the whole plan stands: the transaction is shared by many callers, so
 * nothing in it can be rolled back.
 */
export class Writer {
  private head!: Head;
  private startSequence = 0;
  /** This process's epoch, taken at its first write. */
  private epoch = 0;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly room: DiskSpace,
    private readonly log: ChangeLogWriter,
  ) {}

  begin(): void {
    this.log.begin();
    this.head = this.store.readHead();
    this.startSequence = this.head.sequence;
    const now = this.clock.now();
    this.epoch ||= nextEpoch(now, this.head.epoch);
    this.head.epoch = Math.max(this.head.epoch, this.epoch);
    this.head.now = Math.max(this.head.now, now);
  }

  /** Answers whether anything has changed. */
  end(): boolean {
    if (this.head.sequence === this.startSequence) return false;
    this.log.flush(this.head);
    this.store.writeHead(this.head);
    return true;
  }

  /** @throws DatabaseError having written nothing */
  perform(operation: Operation): Outcome {
    const changes: Change[] = [];
    const outcome = this.plan(operation, this.read(operation), changes);
    this.carryOut(changes);
    return outcome;
  }

  /** Each for itself: what is refused stands in its place. */
  performEach(operations: readonly Operation[], maxBytes?: number): (Outcome | DatabaseError)[] {
    const found = new FoundBytes(maxBytes);
    return operations.map((operation) => {
      try {
        const outcome = this.perform(operation);
        found.add(outcome);
        return outcome;
      } catch (error) {
        if (error instanceof DatabaseError) return error;
        throw error;
      }
    });
  }

  /** All or nothing. @throws DatabaseError of the first that is refused, with its index, having written nothing */
  performAll(operations: readonly Operation[], maxBytes?: number): Outcome[] {
    const found = new FoundBytes(maxBytes);
    // null is what the batch has removed.
    const planned = new Map<string, StoredEntry | null>();
    const changes: Change[] = [];
    const outcomes: Outcome[] = [];
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]!;
      const done = changes.length;
      try {
        const known = planned.get(operation.key);
        const stored = known === undefined ? this.read(operation) : (known ?? undefined);
        const outcome = this.plan(operation, stored, changes);
        found.add(outcome);
        outcomes.push(outcome);
      } catch (error) {
        // The sequence goes on: the refusal may name a tag that was planned.
        if (!(error instanceof DatabaseError)) throw error;
        throw error.with({ index });
      }
      if (changes.length > done) planned.set(operation.key, changes.at(-1)!.after ?? null);
    }
    this.carryOut(changes);
    return outcomes;
  }

  /** Removes what has expired, a bounded number at once. Answers whether there may be more. */
  removeExpired(): boolean {
    const due = [
      ...this.store.expiry.getKeys({
        start: undefined,
        end: firstAfter(this.head.now),
        limit: SWEEP_AT_ONCE,
      }),
    ];
    for (const indexed of due) {
      const { expires, key } = splitExpiryKey(indexed);
      const record = this.store.entries.getBinary(key);
      void this.store.expiry.remove(indexed);
      if (!record || expiresOf(record) !== expires) continue;
      void this.store.entries.remove(key);
      this.log.remove(this.head, ++this.head.sequence, key, true);
    }
    return due.length === SWEEP_AT_ONCE;
  }

  /** Decides `operation` for the key as `stored`, live or expired, and appends what it changes. */
  private plan(operation: Operation, stored: StoredEntry | undefined, changes: Change[]): Outcome {
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
        changes.push({ before: live, after: undefined, sequence: ++this.head.sequence });
        return effect.outcome;
      case 'write': {
        const { value, type, created, expires } = effect;
        const { key } = operation;
        this.room.claim(value.length + key.length);
        const { epoch } = this.head;
        const sequence = ++this.head.sequence;
        const after = new PlainEntry({ key, value, type, created, modified: now, expires, epoch, sequence });
        changes.push({ before: live, after, sequence });
        return { kind: live ? 'updated' : 'created', entry: after };
      }
    }
  }

  private carryOut(changes: readonly Change[]): void {
    for (const { before, after, sequence, expired = false } of changes) {
      if (before && before.expires !== 0 && before.expires !== after?.expires) {
        void this.store.expiry.remove(expiryKey(before.expires, before.key));
      }
      if (!after) {
        void this.store.entries.remove(before!.key);
        this.log.remove(this.head, sequence, before!.key, expired);
        continue;
      }
      void this.store.entries.put(after.key, this.log.put(this.head, after));
      if (after.expires !== 0) void this.store.expiry.put(expiryKey(after.expires, after.key), INDEXED);
    }
  }

  /** What is stored under the operation's key, expired or not; its value only if the operation looks at it. */
  private read(operation: Operation): StoredEntry | undefined {
    const { key } = operation;
    const withValue = needsValue(operation);
    const record = withValue ? this.store.entries.getBinary(key) : this.store.borrow(this.store.entries, key);
    if (!record) return undefined;
    try {
      return withValue ? decode(key, record) : decodeHeader(key, record);
    } catch (error) {
      if (replacesBlindly(operation)) return unreadable(key, this.head.now);
      throw error;
    }
  }
}

function needsValue(operation: Operation): boolean {
  return operation.op !== 'put' && operation.op !== 'delete' && operation.op !== 'check';
}

function replacesBlindly(operation: Operation): boolean {
  return (operation.op === 'put' || operation.op === 'delete') && operation.condition === undefined;
}
