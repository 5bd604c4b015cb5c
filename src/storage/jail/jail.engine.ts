import { DatabaseError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import type { Entry, EntryHeader } from '../entry.js';
import type { KeyedAnswer, KeyedWrite } from '../idempotency.js';
import type { KeyRange } from '../key-range.js';
import type { BatchOperation, Operation, Outcome } from '../operation.js';
import type { Capabilities } from '../capabilities.js';
import type { RecentChange } from '../recent-change.js';
import {
  StorageEngine,
  type Awaitable,
  type Change,
  type EngineState,
  type EngineStats,
  type LogPage,
  type RangeCount,
  type RangePage,
  type RangeQuery,
  type ScanRange,
  type WatchTarget,
} from '../storage-engine.js';
import type { SystemKeyspace } from '../system-keyspace.js';
import { JailPast } from './jail-past.js';
import { Namespace } from './namespace.js';
import { outcomeInside, outcomesInside, pageInside, RenamedChange, RenamedEntry } from './views.js';

/** Whose database this is. */
export interface Inmate {
  /** What its keys begin with in the whole database, as `namespaceFault` allows it. */
  readonly namespace: string;
  /** The public id of the token that writes with it. */
  readonly by?: string;
}

/**
 * A part of a database as a database of its own: the keys of a namespace, without the namespace.
 *
 * Problem: what the holder of a namespace may see must not depend on whether every route remembers to check. Design: an
 * engine around the engine, which maps every key on the way in and on the way out; whatever is built on it cannot name a key
 * outside. Guarantee: each answer is the one that a database of only these entries would give, but for revisions and
 * positions, which count the changes of others too.
 *
 * What concerns the whole database is left out: the private records, the fence's setting, backups and the size of the store
 * fail or are not told. Opening and closing are up to whoever has the engine inside.
 */
export class JailEngine extends StorageEngine {
  private readonly by: { readonly by?: string };
  private readonly names: Namespace;
  readonly past: JailPast;
  private readonly everything: readonly WatchTarget[];
  /** Targets in the whole database: an engine is asked for the same array again. */
  private readonly targets = new WeakMap<readonly WatchTarget[], readonly WatchTarget[]>();

  constructor(
    private readonly whole: StorageEngine,
    { namespace, by }: Inmate,
  ) {
    super();
    this.by = by === undefined ? {} : { by };
    this.names = new Namespace(namespace);
    this.everything = [{ prefix: namespace }];
    this.past = new JailPast(() => whole.past, this.names);
  }

  get capabilities(): Capabilities {
    return { ...this.whole.capabilities, backup: false };
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  now(): number {
    return this.whole.now();
  }

  get(key: string): Awaitable<Entry | undefined> {
    return this.ask(
      () => this.whole.get(this.names.keyOf(key)),
      (entry) => entry && new RenamedEntry(key, entry),
      key,
    );
  }

  head(key: string): Awaitable<EntryHeader | undefined> {
    return this.ask(
      () => this.whole.head(this.names.keyOf(key)),
      (entry) => entry && new RenamedEntry(key, entry),
      key,
    );
  }

  async write(operation: Operation): Promise<Outcome> {
    try {
      return outcomeInside(await this.whole.write(this.operationOf(operation)), operation);
    } catch (error) {
      throw this.names.errorInside(error, operation.key);
    }
  }

  async batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const mapped = operations.map((operation) => this.operationOf(operation));
    try {
      return outcomesInside(await this.whole.batch(mapped, atomic, maxBytes), operations, this.names);
    } catch (error) {
      throw this.errorOfBatch(error, operations);
    }
  }

  async writeOnce(write: KeyedWrite): Promise<KeyedAnswer> {
    const { operations } = write;
    const mapped = operations.map((operation) => this.operationOf(operation));
    try {
      const answer = await this.whole.writeOnce({ ...write, operations: mapped });
      return { ...answer, outcomes: outcomesInside(answer.outcomes, operations, this.names) };
    } catch (error) {
      throw write.mode === 'single'
        ? this.names.errorInside(error, operations[0]!.key)
        : this.errorOfBatch(error, operations);
    }
  }

  recall({ key, operations }: Pick<KeyedWrite, 'key' | 'operations'>): Awaitable<KeyedAnswer | undefined> {
    const mapped = operations.map((operation) => this.operationOf(operation));
    return this.ask(
      () => this.whole.recall({ key, operations: mapped }),
      (answer) => answer && { ...answer, outcomes: outcomesInside(answer.outcomes, operations, this.names) },
    );
  }

  range(query: RangeQuery): Awaitable<RangePage> {
    const { names } = this;
    const mapped = { ...names.rangeOf(query), after: names.boundOf(query.after) };
    return this.ask(
      () => this.whole.range(mapped),
      (page) => pageInside(page, names),
    );
  }

  async *scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    const { names } = this;
    const { onDamaged } = range;
    const mapped = {
      ...names.rangeOf(range),
      ...(onDamaged && { onDamaged: (key: string) => onDamaged(names.nameOfDamaged(key)) }),
    };
    try {
      for await (const entries of this.whole.scan(mapped))
        yield entries.map((entry) => new RenamedEntry(names.nameOf(entry.key), entry));
    } catch (error) {
      throw names.errorInside(error);
    }
  }

  count({ prefix, from, to }: KeyRange): Awaitable<RangeCount> {
    return this.ask(
      () => this.whole.count(this.names.rangeOf({ prefix, from, to })),
      (count) => count,
    );
  }

  position(): Awaitable<string> {
    return this.whole.position();
  }

  /** Reads on over pages that have only changes of others: an empty one would say that the log has ended. */
  async changes(position: string, targets?: readonly WatchTarget[]): Promise<LogPage | undefined> {
    const mapped = targets ? this.targetsOf(targets) : this.everything;
    try {
      for (;;) {
        const page = await this.whole.changes(position, mapped);
        if (!page) return undefined;
        const changes = this.changesInside(page.changes);
        if (changes.length > 0 || page.changes.length === 0) {
          return {
            changes,
            get position() {
              return page.position;
            },
          };
        }
        position = page.position;
        await giveWay();
      }
    } catch (error) {
      throw this.names.errorInside(error);
    }
  }

  newestChanges(limit: number, prefix: string): Awaitable<readonly RecentChange[]> {
    return this.ask(
      () => this.whole.newestChanges(limit, this.names.keyOf(prefix)),
      (changes) => changes.map((change) => ({ ...change, key: this.names.nameOf(change.key) })),
    );
  }

  covers(position: string, change: Pick<Change, 'position' | 'key' | 'etag'>): boolean {
    if (change instanceof RenamedChange) return this.whole.covers(position, change.change);
    return this.whole.covers(position, { ...change, key: this.names.keyOf(change.key) });
  }

  includes(position: string, other: string): boolean {
    return this.whole.includes(position, other);
  }

  /** Calls `listener` after changes of others, too. */
  onChange(listener: () => void): () => void {
    return this.whole.onChange(listener);
  }

  async stats(): Promise<EngineStats> {
    if (this.names.isWhole) return this.whole.stats();
    return {
      entries: (await this.count({ prefix: '' })).keys,
      storedBytes: undefined,
      availableBytes: undefined,
      freeBytes: undefined,
      logBytes: undefined,
      oldestChange: undefined,
    };
  }

  state(): Awaitable<EngineState> {
    return this.whole.state();
  }

  peers(): Awaitable<number> {
    return this.whole.peers();
  }

  fence(): Awaitable<string | undefined> {
    return this.whole.fence();
  }

  setFence(): Promise<void> {
    return refuse();
  }

  backup(): Promise<never> {
    return refuse();
  }

  readonly system: SystemKeyspace = {
    get: refuse,
    put: refuse,
    replace: refuse,
    delete: refuse,
    list: refuse,
  };

  private operationOf<T extends Operation>(operation: T): T {
    return { ...operation, ...this.by, key: this.names.keyOf(operation.key) };
  }

  private errorOfBatch(error: unknown, operations: readonly Operation[]): unknown {
    const index = error instanceof DatabaseError ? error.context.index : undefined;
    return this.names.errorInside(error, index === undefined ? undefined : operations[index]?.key);
  }

  private changesInside(changes: readonly Change[]): Change[] {
    return changes
      .filter(({ key }) => this.names.has(key))
      .map((change) => new RenamedChange(this.names.nameOf(change.key), change));
  }

  private targetsOf(targets: readonly WatchTarget[]): readonly WatchTarget[] {
    let mapped = this.targets.get(targets);
    if (!mapped) {
      mapped = targets.map((target) =>
        'key' in target ? { key: this.names.keyOf(target.key) } : { prefix: this.names.keyOf(target.prefix) },
      );
      this.targets.set(targets, mapped);
    }
    return mapped;
  }

  /** Asks the whole database, at once where it can, and gives back what it says in the names of the namespace. */
  private ask<T, R>(question: () => Awaitable<T>, inside: (answer: T) => R, name?: string): Awaitable<R> {
    try {
      const answer = question();
      if (!(answer instanceof Promise)) return inside(answer);
      return answer.then(inside).catch((error: unknown) => {
        throw this.names.errorInside(error, name);
      });
    } catch (error) {
      throw this.names.errorInside(error, name);
    }
  }
}

function refuse(): Promise<never> {
  const detail = 'This concerns the whole database, and a namespace is only a part of it.';
  return Promise.reject(new DatabaseError('not-supported', detail));
}
