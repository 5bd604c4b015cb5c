import { prefixEnd } from '../key-range.js';
import { KEYED } from './keys.js';
import type { SystemKeyspace } from '../system-keyspace.js';
import type { DiskSpace } from './disk-space.js';
import type { GroupCommit } from './group-commit.js';
import type { Store } from './store.js';

/** The private records of the server. */
export class SystemRecords implements SystemKeyspace {
  constructor(
    private readonly store: Store,
    private readonly commits: GroupCommit,
    private readonly space: DiskSpace,
  ) {}

  get(name: string): Buffer | undefined {
    this.store.freshen();
    return this.store.system.getBinary(name);
  }

  put(name: string, value: Buffer): Promise<void> {
    return this.commits.submit(value.length, () => this.write(name, value));
  }

  replace(name: string, expected: Buffer | undefined, value: Buffer | undefined): Promise<boolean> {
    return this.commits.submit(value?.length ?? 0, () => {
      if (!isSame(this.store.system.getBinary(name), expected)) return false;
      this.write(name, value);
      return true;
    });
  }

  delete(name: string): Promise<void> {
    return this.commits.submit(0, () => this.write(name, undefined));
  }

  list(prefix: string): { name: string; value: Buffer }[] {
    this.store.freshen();
    const range = { start: prefix || undefined, end: prefixEnd(prefix) ?? KEYED };
    return [...this.store.system.getRange(range)].map(({ key, value }) => ({ name: key as string, value }));
  }

  /** Within a transaction. */
  private write(name: string, value: Buffer | undefined): void {
    if (value === undefined) return void this.store.system.remove(name);
    this.space.claim(value.length);
    void this.store.system.put(name, Buffer.from(value));
  }
}

function isSame(found: Buffer | undefined, expected: Buffer | undefined): boolean {
  return found === undefined || expected === undefined ? found === expected : found.equals(expected);
}
