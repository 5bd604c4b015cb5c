import { DatabaseError } from '../errors.js';
import type { Entry } from './entry.js';
import { compareKeys } from './key-range.js';
import type { FoundBytes, Operation, Outcome } from './operation.js';
import type { SystemKeyspace } from './system-keyspace.js';

/** The private records of the server in a Map. */
export class MemoryRecords implements SystemKeyspace {
  private readonly records = new Map<string, Buffer>();

  /** @param assertWritable throws if nothing may be written */
  constructor(private readonly assertWritable: () => void) {}

  get(name: string): Buffer | undefined {
    return this.records.get(name);
  }

  async put(name: string, value: Buffer): Promise<void> {
    this.assertWritable();
    this.records.set(name, Buffer.from(value));
  }

  async replace(name: string, expected: Buffer | undefined, value: Buffer | undefined): Promise<boolean> {
    this.assertWritable();
    const found = this.records.get(name);
    if (found === undefined || expected === undefined ? found !== expected : !found.equals(expected))
      return false;
    if (value === undefined) this.records.delete(name);
    else this.records.set(name, Buffer.from(value));
    return true;
  }

  async delete(name: string): Promise<void> {
    this.assertWritable();
    this.records.delete(name);
  }

  list(prefix: string): { name: string; value: Buffer }[] {
    return [...this.records]
      .filter(([name]) => name.startsWith(prefix))
      .sort(([a], [b]) => compareKeys(a, b))
      .map(([name, value]) => ({ name, value }));
  }
}

/** Copies an entry and its bytes, because readers and writers own their buffers. */
export function copyOf(entry: Entry, withValue: boolean): Entry {
  return { ...entry, value: Buffer.from(withValue ? entry.value : '') };
}

/** Applies operations one by one; the error of a refused one takes the place of its outcome. */
export function eachAlone(
  operations: readonly Operation[],
  apply: (operation: Operation) => Outcome,
  found: FoundBytes,
): (Outcome | DatabaseError)[] {
  return operations.map((operation) => {
    try {
      const outcome = apply(operation);
      found.add(outcome);
      return outcome;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return error;
    }
  });
}
