import { DatabaseError, MissingKeyError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import type { Entry } from '../entry.js';
import { assertHolds, sizeOf, tooMuchFoundAtOnce, type Operation } from '../operation.js';
import type { Awaitable } from '../storage-engine.js';
import { LARGE_VALUE_BYTES, ROOM_BYTES, underRead } from '../value-memory.js';
import { provide } from './fresh-memory.js';
import { MAX_TOUCHED_BYTES, touchesTooMuch } from './large-entries.js';
import { largeRecords, recordAgain, type LargeRecord } from './large-record.js';
import { MOST_AROUND_VALUE, type StoredEntry } from './record.js';
import { LARGE_READ_BYTES, type Store } from './store.js';

const MAX_TOUCHES = 10;
const MAX_HELD_BYTES = 64 * 2 ** 20;

interface ValueRead {
  readonly key: string;
  readonly size: number;
  readonly isToRead: boolean;
}

export type Touch = Extract<Operation, { readonly op: 'touch' }>;

/**
 * What the engine does for values of megabytes outside of transactions.
 *
 * Memory for a value is provided in turns (fresh-memory.ts), and then filled at once. The library has such memory, too, into
 * which it copies what it is asked for. One read is under way at a time, because whoever counts what is in memory (the budget
 * of unread answers) hears of a value only when it has been read.
 */
export class LargeValues {
  private last: Promise<unknown> = Promise.resolve();
  private prepared: Promise<void> | undefined;
  /** What batches have read before their transactions, bytes. */
  private held = 0;

  constructor(private readonly store: Store) {
    if (store.hasLargeValues) void this.prepare();
  }

  /**
   * Returns the entry under `key`, whose record had `bytes` last, or undefined if there is none any more.
   *
   * @throws DatabaseError `corrupt`
   */
  read(key: string, bytes: number): Promise<StoredEntry | undefined> {
    underRead.bytes += bytes;
    const entry = this.last.then(async () => {
      try {
        const record = await this.copyOf(key, bytes);
        return record && this.store.decode(key, record);
      } finally {
        underRead.bytes -= bytes;
      }
    });
    this.last = entry.catch(() => undefined);
    return entry;
  }

  /** Returns the records of the large values that `operations` put. */
  async recordsOf(operations: readonly Operation[]): Promise<readonly LargeRecord[]> {
    const most = operations.reduce((bytes, each) => Math.max(bytes, sizeOf(each)), 0);
    if (most > LARGE_READ_BYTES) await this.prepare();
    return most > LARGE_VALUE_BYTES ? largeRecords(operations) : [];
  }

  /**
   * Runs `write` with the records of the large values that `operations` read, or store again because they get another end,
   * each value once: a transaction that reads megabytes would hold up everybody. It is told how many bytes of other values
   * they read.
   *
   * @throws DatabaseError `body-too-large`; `busy` if too much is read for others
   */
  async withRead<T>(
    operations: readonly Operation[],
    write: (records: readonly LargeRecord[], otherBytes: number) => Promise<T>,
  ): Promise<T> {
    const records: LargeRecord[] = [];
    let [held, others] = [0, 0];
    try {
      for (const { key, size, isToRead } of this.readsOf(operations)) {
        if (isToRead) {
          held += size;
          this.held += size;
        } else others += size;
        // The look at its size has copied it.
        const wait = giveWay();
        if (wait) await wait;
        if (!isToRead) continue;
        const entry = await this.read(key, size).catch(unlessDamaged);
        if (entry) records.push(recordAgain(entry));
      }
      return await write(records, others);
    } finally {
      this.held -= held;
    }
  }

  /** Yields the keys of the values that are read, the sizes of their records, and whether they should be read before. */
  private *readsOf(operations: readonly Operation[]): Iterable<ValueRead> {
    const bytes = { get: 0, touch: 0 };
    const seen = new Set<string>();
    for (const { op, key } of operations) {
      if ((op !== 'get' && op !== 'touch') || seen.has(key)) continue;
      const size = this.store.entries.borrow(key)?.length ?? 0;
      if (size <= LARGE_VALUE_BYTES) {
        yield { key, size, isToRead: false };
        continue;
      }
      seen.add(key);
      bytes[op] += size - MOST_AROUND_VALUE;
      if (op === 'touch' && bytes[op] > MAX_TOUCHED_BYTES) throw touchesTooMuch();
      const isRoom = this.held + size <= MAX_HELD_BYTES;
      if (op === 'touch' && !isRoom) throw tooMuchFoundAtOnce(MAX_HELD_BYTES);
      // Whether a value may be read at all is decided in the transaction.
      if (isRoom && bytes[op] <= MAX_TOUCHED_BYTES) yield { key, size, isToRead: true };
    }
  }

  /** Whether the record under `key` is so large that it should not be read in a transaction. */
  has(key: string): boolean {
    return (this.store.entries.borrow(key)?.length ?? 0) > LARGE_READ_BYTES;
  }

  /** Provides the library's memory before the first large value is read. */
  private prepare(): Promise<void> {
    this.prepared ??= provideInTurns(this.store.libraryMemory());
    return this.prepared;
  }

  private async copyOf(key: string, bytes: number): Promise<Buffer | undefined> {
    for (let size = bytes; ;) {
      const memory = Buffer.allocUnsafeSlow(ROOM_BYTES + size);
      await provideInTurns(memory);
      // Another process may have written it meanwhile.
      this.store.freshen();
      const record = this.store.entries.borrow(key);
      if (!record) return undefined;
      if (record.length <= size)
        return memory.subarray(ROOM_BYTES, ROOM_BYTES + record.copy(memory, ROOM_BYTES));
      size = record.length;
    }
  }
}

/** A damaged value is no reason to refuse a batch: the operation on it fails alone. */
function unlessDamaged(error: unknown): undefined {
  if (!(error instanceof DatabaseError && error.code === 'corrupt')) throw error;
}

async function provideInTurns(memory: Uint8Array): Promise<void> {
  for (const _step of provide(memory)) await giveWay();
}

/**
 * Gives a large entry another end. Its record has to be stored again, so its value is read outside of the transaction, and
 * put if the entry is still the same.
 *
 * @throws DatabaseError as the touch would, and `busy` if others kept changing the entry
 */
export async function touchLarge<T>(
  { key, expiry, condition, by }: Touch,
  get: (key: string) => Awaitable<Entry | undefined>,
  write: (operation: Operation) => Promise<T>,
): Promise<T> {
  for (let tries = 0; tries < MAX_TOUCHES; tries++) {
    const entry = await get(key);
    if (!entry) throw new MissingKeyError(key);
    if (condition) assertHolds(condition, key, entry);
    const { value, type, etag } = entry;
    const put = { op: 'put', key, value, type, expiry, condition: { ifMatch: [etag] } } as const;
    try {
      return await write(by === undefined ? put : { ...put, by });
    } catch (error) {
      if (!(error instanceof DatabaseError && error.code === 'precondition-failed')) throw error;
    }
  }
  throw new DatabaseError('busy', 'Others kept changing the entry. Nothing was applied; try again.');
}
