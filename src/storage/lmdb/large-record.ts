import type { RootDatabase } from 'lmdb';
import type { Operation } from '../operation.js';
import { LARGE_VALUE_BYTES, withRoom } from '../value-memory.js';
import {
  bytesBeforeValue,
  CRC_BYTES,
  encodeAround,
  PlainEntry,
  type RecordParts,
  type StoredEntry,
} from './record.js';
import type { Tree } from './tree.js';

let made = 0;

/**
 * The record of a large value, which the writing thread of LMDB copies into the store.
 *
 * Problem: LMDB takes fresh memory for the pages of a large record, and to fill 16 MiB of it can take 100 ms, in which the
 * event loop would stand still. Design: the value lies in memory that has room for its record, whose length is known before
 * its revision. The transaction's callback decides, and completes the record at its end if no later operation has replaced
 * it; the copy comes after that, on the other thread, and only if the record was accepted (store.ts). Until then the writer
 * knows the entry, and the store does not.
 */
export class LargeRecord {
  readonly bytes: Buffer;
  /** The name in `meta` of what says that the record is accepted. It is gone when the transaction ends. */
  readonly acceptedName: string;

  /** @param roomy the value with room around it (value-memory.ts) */
  constructor(
    readonly key: string,
    type: string,
    /** As its operation has it. */
    readonly value: Buffer,
    roomy: Buffer,
    /** Whose value it is, if that was read before the transaction. */
    readonly entry?: StoredEntry,
  ) {
    this.acceptedName = `accepted ${made++}`;
    const before = bytesBeforeValue(type);
    this.bytes = Buffer.from(roomy.buffer, roomy.byteOffset - before, before + roomy.length + CRC_BYTES);
  }

  complete(entry: RecordParts): void {
    encodeAround(entry, this.bytes);
  }
}

/** Returns the records of the large values that `operations` put. */
export async function largeRecords(operations: readonly Operation[]): Promise<readonly LargeRecord[]> {
  const records: LargeRecord[] = [];
  for (const operation of operations) {
    if (operation.op !== 'put' || operation.value.length <= LARGE_VALUE_BYTES) continue;
    const { key, type, value } = operation;
    records.push(new LargeRecord(key, type, value, await withRoom(value)));
  }
  return records;
}

/** Returns the record that stores an entry again which has been read, in the memory into which it was read. */
export function recordAgain(read: StoredEntry): LargeRecord {
  const entry = new PlainEntry(read);
  const { key, type, value } = entry;
  return new LargeRecord(key, type, value, value, entry);
}

/**
 * Runs `work` in a transaction, after which the writing thread stores those of the `large` records that `work` has accepted.
 * Resolves once all is durable. If `work` throws, nothing is written.
 */
export async function storeAfter(
  work: () => Promise<void> | undefined,
  large: readonly LargeRecord[],
  root: RootDatabase<Buffer, string>,
  entries: Tree<string | Buffer>,
  meta: Tree<string>,
): Promise<void> {
  let thrown: unknown;
  await root.batch(() => {
    const note = (error: unknown): never => {
      thrown = error;
      throw error;
    };
    void root.childTransaction(() => {
      try {
        return work()?.catch(note);
      } catch (error) {
        return note(error);
      }
    });
    for (const { key, bytes, acceptedName } of large) {
      const stored = meta.ifExists(acceptedName, () => {
        void entries.put(key, bytes);
        void meta.remove(acceptedName);
      });
      // The batch fails as well, and says why.
      stored.catch(() => undefined);
    }
  });
  if (thrown !== undefined) throw thrown;
}
