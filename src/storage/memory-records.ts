import type { Entry } from './entry.js';
import { firstIndex } from './first-index.js';
import { compareKeys } from './key-range.js';
import type { Change, SystemKeyspace } from './storage-engine.js';

const READ_CHANGES = 1000;
const READ_BYTES = 256 * 1024;

/** A change, and whether its key had no entry before. */
export type MemoryChange = Change & { readonly creates: boolean };

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

/** Returns what a change takes in the log, bytes. */
export function loggedBytes({ key, value }: Change): number {
  return key.length + (value?.length ?? 0);
}

/** Returns some changes of a log after `position`. */
export function changesAfter(log: readonly MemoryChange[], position: string): Change[] {
  const changes: Change[] = [];
  let bytes = 0;
  const first = firstIndex(log.length, (i) => log[i]!.position > position);
  for (let i = first; i < log.length; i++) {
    if (changes.length === READ_CHANGES || bytes >= READ_BYTES) break;
    changes.push(log[i]!);
    bytes += loggedBytes(log[i]!);
  }
  return changes;
}

/** Copies an entry and its bytes, because readers and writers own their buffers. */
export function copyOf(entry: Entry, withValue: boolean): Entry {
  return { ...entry, value: Buffer.from(withValue ? entry.value : '') };
}
