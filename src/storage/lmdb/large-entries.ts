import { DatabaseError } from '../../errors.js';
import { LARGE_VALUE_BYTES } from '../value-memory.js';
import type { LargeRecord } from './large-record.js';
import type { StoredEntry } from './record.js';

/** Of large values that one batch stores again because they get another end. */
const MAX_TOUCHED_BYTES = 32 * 2 ** 20;

interface Accepted {
  readonly record: LargeRecord;
  readonly entry: StoredEntry;
}

/**
 * What a transaction knows of large entries: those that are stored after its work (large-record.ts), which nobody finds in
 * the store before; and those that it has looked at, so that a thousand operations on one read it once.
 */
export class LargeEntries {
  private readonly announced = new Map<Buffer, LargeRecord>();
  private readonly accepted = new Map<string, Accepted>();
  /** Without their values. */
  private readonly seen = new Map<string, StoredEntry>();
  private touched = 0;

  begin(records: readonly LargeRecord[]): void {
    this.clear();
    for (const record of records) this.announced.set(record.value, record);
  }

  beginBatch(): void {
    this.touched = 0;
  }

  /** Returns the entry under `key` if it is known, with its value or without. */
  find(key: string, withValue: boolean): StoredEntry | undefined {
    return this.acceptedUnder(key) ?? (withValue || this.seen.size === 0 ? undefined : this.seen.get(key));
  }

  /** Returns the entry under `key` if it is stored only after the transaction's work. */
  acceptedUnder(key: string): StoredEntry | undefined {
    return this.accepted.size === 0 ? undefined : this.accepted.get(key)?.entry;
  }

  /** Keeps an entry without its value in mind if that is large. */
  see(entry: StoredEntry): void {
    if (entry.size > LARGE_VALUE_BYTES) this.seen.set(entry.key, entry);
  }

  /** Has `entry` stored after the transaction's work. Returns false if its record was not announced. */
  accept(entry: StoredEntry): boolean {
    this.forget(entry.key);
    const record = this.announced.size === 0 ? undefined : this.announced.get(entry.value);
    if (record?.key !== entry.key) return false;
    this.accepted.set(entry.key, { record, entry });
    return true;
  }

  /** Forgets what is known of an entry that changes. */
  forget(key: string): void {
    if (this.accepted.size > 0) this.accepted.delete(key);
    if (this.seen.size > 0) this.seen.delete(key);
  }

  /** Counts a value that is stored again. @throws DatabaseError as `checkTouched` does */
  countTouched(bytes: number): void {
    if (bytes <= LARGE_VALUE_BYTES) return;
    this.checkTouched(bytes);
    this.touched += bytes;
  }

  /** Checks that a value of `bytes` may be stored again, before it is read. @throws DatabaseError `body-too-large` */
  checkTouched(bytes: number): void {
    if (this.touched + bytes <= MAX_TOUCHED_BYTES) return;
    const detail = `The large values that a batch touches may have ${MAX_TOUCHED_BYTES} bytes together.`;
    throw new DatabaseError('body-too-large', detail, { limit: MAX_TOUCHED_BYTES });
  }

  /** Ends the transaction's work: hands what was accepted to `store`, and keeps none of it in memory. */
  end(store: (record: LargeRecord) => void): void {
    for (const { record, entry } of this.accepted.values()) {
      record.complete(entry);
      store(record);
    }
    this.clear();
  }

  private clear(): void {
    this.announced.clear();
    this.accepted.clear();
    this.seen.clear();
  }
}
