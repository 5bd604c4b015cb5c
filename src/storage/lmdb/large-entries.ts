import { DatabaseError } from '../../errors.js';
import { LARGE_VALUE_BYTES } from '../value-memory.js';
import type { LargeRecord } from './large-record.js';
import type { StoredEntry } from './record.js';

/** Of values that one batch stores again because they get another end, as many as it may bring. */
export const MAX_TOUCHED_BYTES = 16 * 2 ** 20;

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
  /** Those of entries that were read before the transaction, by key. */
  private readonly readBefore = new Map<string, LargeRecord>();
  private readonly accepted = new Map<string, Accepted>();
  /** Without their values. */
  private readonly seen = new Map<string, StoredEntry>();
  /** The announced values that have been asked for by `bytesOf`. */
  private readonly counted = new Set<Buffer>();
  private touched = 0;

  begin(records: readonly LargeRecord[]): void {
    this.clear();
    for (const record of records) {
      this.announced.set(record.value, record);
      if (record.entry) this.readBefore.set(record.key, record);
    }
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

  /** Returns the entry under `key` if it was read before the transaction, and is still the `current` one. */
  readFor(key: string, current: () => StoredEntry): StoredEntry | undefined {
    const entry = this.readBefore.get(key)?.entry;
    return entry?.etag === (entry && current().etag) ? entry : undefined;
  }

  /** Counts a value that this thread stores again. @throws DatabaseError `body-too-large` */
  countTouched(value: Buffer): void {
    if (this.announced.has(value)) return;
    this.touched += value.length;
    if (this.touched > MAX_TOUCHED_BYTES && this.touched > value.length) throw touchesTooMuch();
  }

  /** Returns how many bytes `value` takes in the store: one that was announced is stored once, however often it is written. */
  bytesOf(value: Buffer): number {
    if (this.announced.size === 0 || !this.announced.has(value)) return value.length;
    if (this.counted.has(value)) return 0;
    this.counted.add(value);
    return value.length;
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
    this.readBefore.clear();
    this.counted.clear();
    this.accepted.clear();
    this.seen.clear();
  }
}

export function touchesTooMuch(): DatabaseError {
  const detail = `The values that a batch touches may have ${MAX_TOUCHED_BYTES} bytes together.`;
  return new DatabaseError('body-too-large', detail, { limit: MAX_TOUCHED_BYTES });
}
