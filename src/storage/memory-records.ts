import { DatabaseError } from '../errors.js';
import type { Entry } from './entry.js';
import { firstIndex } from './first-index.js';
import { compareKeys, groupOf } from './key-range.js';
import type { FoundBytes, Operation, Outcome } from './operation.js';
import type { Change, RangePage, RangeQuery } from './storage-engine.js';
import type { SystemKeyspace } from './system-keyspace.js';

const READ_CHANGES = 1000;
const READ_BYTES = 256 * 1024;

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

/** Copies an entry and its bytes, because readers and writers own their buffers. */
export function copyOf(entry: Entry, withValue: boolean): Entry {
  return { ...entry, value: Buffer.from(withValue ? entry.value : '') };
}

/** Returns the page of `query`, of entries that are in its range and in its order. */
export function pageOf(sorted: readonly Entry[], query: RangeQuery, position: string): RangePage {
  const { prefix, after, limit, delimiter, reverse = false, values = false, maxBytes = Infinity } = query;
  const direction = reverse ? -1 : 1;
  const items: Entry[] = [];
  const groups: string[] = [];
  let last: string | undefined;
  let bytes = 0;
  for (const entry of sorted) {
    const group = delimiter ? groupOf(entry.key, prefix, delimiter) : undefined;
    const name = group ?? entry.key;
    if (name === last) continue;
    if (after !== undefined && (name === after || compareKeys(entry.key, after) * direction <= 0)) continue;
    const full = items.length + groups.length === limit || bytes >= maxBytes;
    if (full && last !== undefined) return { items, groups, next: last, position };
    last = name;
    if (group !== undefined) {
      groups.push(group);
    } else {
      items.push(copyOf(entry, values));
      if (values) bytes += entry.size;
    }
  }
  return { items, groups, next: undefined, position };
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

/** Returns changes after `position`, as many as are read at once. */
export function readLog(log: readonly Change[], position: string): Change[] {
  const found: Change[] = [];
  let bytes = 0;
  const first = firstIndex(log.length, (i) => log[i]!.position > position);
  for (let i = first; i < log.length; i++) {
    if (found.length === READ_CHANGES || bytes >= READ_BYTES) break;
    found.push(log[i]!);
    bytes += loggedBytes(log[i]!);
  }
  return found;
}
