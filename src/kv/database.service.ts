import type { AppConfig } from '../config/app-config.js';
import { DatabaseError, MissingKeyError } from '../errors.js';
import { giveWay } from '../event-loop.js';
import type { Condition } from '../storage/condition.js';
import { TEXT, type Entry, type EntryHeader } from '../storage/entry.js';
import type { IdempotencyKey, KeyedAnswer } from '../storage/idempotency.js';
import { ALL_KEYS, isInRange, type KeyRange } from '../storage/key-range.js';
import {
  assertHolds,
  assertReached,
  type BatchOperation,
  type Expiry,
  type Operation,
  type Outcome,
} from '../storage/operation.js';
import type {
  Awaitable,
  RangeCount,
  RangePage,
  RangeQuery,
  ScanRange,
  StorageEngine,
} from '../storage/storage-engine.js';
import { LARGE_VALUE_BYTES, oneByOne } from '../storage/value-memory.js';
import { computeAndPut, Edits } from './edits.js';
import { endOf } from './expiry.js';
import { checkKey, isKey } from './key.js';
import { OnceWrites } from './once-writes.js';
import { checkValueSize } from './value-size.js';
import { writtenBy, type Written } from './written.js';

/** Bytes of values on one page, and in the answer to one batch. */
const PAGE_BYTES = 4 * 2 ** 20;
const BATCH_BYTES = 16 * 2 ** 20;
const DELETE_CHUNK = 1000;

/** The database as its users know it: the rules that hold on every engine. */
export class DatabaseService {
  /**
   * @param needsConditions whether a write without a condition is refused, with `condition-required`
   * @param once does what is written once; without it the engine writes
   */
  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
    private readonly needsConditions = false,
    private readonly edits = new Edits(),
    private readonly once?: OnceWrites,
  ) {}

  /** Returns the same database for the one write of a request that is done once. */
  doing(key: IdempotencyKey, note: (answer: KeyedAnswer) => void): DatabaseService {
    const once = new OnceWrites(this.engine, key, note);
    return new DatabaseService(this.engine, this.config, this.needsConditions, this.edits, once);
  }

  /** Whether operations name a time that is over, and have not been done before it was. */
  async isLate(operations: readonly (BatchOperation | DatabaseError)[]): Promise<boolean> {
    const sound = operations.filter((each) => 'op' in each);
    return sound.some((each) => endOf(each) <= this.now()) && !(await this.isDone(sound));
  }

  /** Whether the write of a request, which has these operations, is done once and was done before. */
  async isDone(operations: readonly BatchOperation[]): Promise<boolean> {
    return (await this.once?.isDone(operations)) ?? false;
  }

  /** Returns the time of the clock that TTLs count from, milliseconds since 1970. */
  now(): number {
    return this.engine.now();
  }

  get past(): StorageEngine['past'] {
    return this.engine.past;
  }

  /** Whether a position says everything about what a reader has seen, so that clients can be told it. */
  get hasOneOrder(): boolean {
    return this.engine.capabilities.totalOrder;
  }

  /**
   * Returns the entry under `key`, without a promise where the engine can.
   *
   * @param checkSize is told the size before the value is read
   * @throws MissingKeyError, what `checkSize` throws
   */
  get(key: string, checkSize?: (bytes: number) => void): Awaitable<Entry> {
    if (checkSize) return this.getChecked(key, checkSize);
    const found = this.find(key);
    return found instanceof Promise ? found.then((entry) => present(key, entry)) : present(key, found);
  }

  /** Returns the entry under `key` without its value. @throws MissingKeyError */
  async head(key: string): Promise<EntryHeader> {
    checkKey(key);
    return present(key, await this.engine.head(key));
  }

  /** Returns the entry under `key`, or undefined. */
  find(key: string): Awaitable<Entry | undefined> {
    checkKey(key);
    return this.engine.get(key);
  }

  /** Stores a text that does not expire. Durable when it resolves. */
  set(key: string, text: string): Promise<Written> {
    return this.put(key, Buffer.from(text), TEXT, 'never');
  }

  /** Stores a value. @throws DatabaseError `precondition-failed`, `value-too-large`, … */
  put(key: string, value: Buffer, type: string, expiry: Expiry, condition?: Condition): Promise<Written> {
    checkKey(key);
    checkValueSize(value.length, this.config.maxValueBytes);
    return this.write({ op: 'put', key, value, type, expiry, condition });
  }

  /** Adds to a counter, which begins at 0 and then expires as `expiry` says. */
  increment(key: string, amount: bigint, expiry: Expiry, condition?: Condition): Promise<Written> {
    checkKey(key);
    return this.write({ op: 'incr', key, amount, expiry, condition });
  }

  /** Changes when an entry ends. @throws MissingKeyError */
  touch(key: string, expiry: Expiry, condition?: Condition): Promise<Written> {
    checkKey(key);
    return this.write({ op: 'touch', key, expiry, condition });
  }

  /**
   * Replaces a value by the result of `change`, as one atomic step. `change` may take long and be called several times.
   * @param check refuses what cannot be edited, before its value is read
   * @throws MissingKeyError, what `change` and `check` throw, DatabaseError `busy` if others kept changing the entry
   */
  async edit(
    key: string,
    change: (entry: Entry) => Awaitable<Buffer>,
    condition?: Condition,
    check?: (entry: EntryHeader) => void,
  ): Promise<Written> {
    checkKey(key);
    this.requireCondition(condition);
    return this.edits.inTurn(key, async () => {
      const work = () => this.editAlone(key, change, condition, check);
      return writtenBy('edit', await (this.once ? this.once.edit(key, work) : (work() as Promise<Outcome>)));
    });
  }

  /** Removes an entry, or does nothing if there is none. */
  async delete(key: string, condition?: Condition): Promise<void> {
    checkKey(key);
    this.requireCondition(condition);
    await (this.once ?? this.engine).write({ op: 'delete', key, condition });
  }

  /** Returns one page of a range; with values it ends after 4 MiB of them. */
  range(query: RangeQuery): Awaitable<RangePage> {
    return this.engine.range({ ...query, maxBytes: PAGE_BYTES });
  }

  count(range: KeyRange): Awaitable<RangeCount> {
    return this.engine.count(range);
  }

  /**
   * Visits every entry of a range, in key order, from one snapshot where the engine has them.
   * Without `onDamaged` the first damaged entry is an error.
   */
  scan(range: Omit<ScanRange, 'values'> = ALL_KEYS): AsyncIterable<readonly Entry[]> {
    return this.engine.scan({ ...range, values: true });
  }

  /**
   * Does operations in order: all or nothing if `atomic`, else each by itself. An error among them is one that was refused.
   * @returns what each came to; without `atomic` a refusal stands in its place
   * @throws DatabaseError if atomic, the first refusal, with its `index`
   */
  async batch(
    operations: readonly (BatchOperation | DatabaseError)[],
    atomic: boolean,
  ): Promise<(Outcome | DatabaseError)[]> {
    const refusals = operations.map((operation, index) => this.refusalOf(operation, index));
    const refused = refusals.find((refusal) => refusal !== undefined);
    if (atomic && refused) throw refused;
    const sound = refused ? operations.filter((_, index) => !refusals[index]) : operations;
    if (sound.length === 0) return refusals as DatabaseError[];
    const target = this.once ?? this.engine;
    const outcomes = await target.batch(sound as readonly BatchOperation[], atomic, BATCH_BYTES);
    if (!refused) return outcomes;
    const rest = outcomes.values();
    return refusals.map((refusal) => refusal ?? rest.next().value!);
  }

  /**
   * Deletes the keys of a range that exist when it begins, damaged ones too, in chunks. Returns how many there were.
   * @param isCut whether the rest has to stay, because who asked may not delete any more
   */
  async deleteRange(range: KeyRange, isCut = () => false): Promise<number> {
    this.requireCondition(undefined);
    const damaged: string[] = [];
    const onDamaged = (key: string) => void damaged.push(key);
    let deleted = 0;
    for await (const entries of this.engine.scan({ ...range, values: false, onDamaged })) {
      if (isCut()) return deleted;
      deleted += await this.deleteAll(entries.map(({ key }) => key));
    }
    // The key itself may be what is damaged. It must not lead to another entry.
    return deleted + (await this.deleteAll(damaged.filter((key) => isKey(key) && isInRange(key, range))));
  }

  /** @throws DatabaseError `condition-required` where writes need one and this has none */
  requireCondition(condition: Condition | undefined): void {
    // A date is not enough: two writes of one second have the same.
    if (!this.needsConditions || condition?.ifMatch || condition?.ifNoneMatch) return;
    throw new DatabaseError(
      'condition-required',
      'The token writes on a condition only: send If-Match with the tag of the entry, or If-None-Match: * to create one.',
    );
  }

  private async deleteAll(keys: readonly string[]): Promise<number> {
    let deleted = 0;
    for (let i = 0; i < keys.length; i += DELETE_CHUNK) {
      const operations = keys.slice(i, i + DELETE_CHUNK).map((key) => ({ op: 'delete', key }) as const);
      const outcomes = await this.engine.batch(operations, false);
      assertReached(outcomes);
      deleted += outcomes.filter((each) => 'kind' in each && each.kind === 'deleted').length;
    }
    return deleted;
  }

  private async getChecked(key: string, checkSize: (bytes: number) => void): Promise<Entry> {
    if ((await this.head(key)).size <= LARGE_VALUE_BYTES) return this.get(key);
    return oneByOne(async () => {
      checkSize((await this.head(key)).size);
      return this.get(key);
    });
  }

  /** Computes the new value here, and puts it on the condition that nobody has changed the entry meanwhile. */
  private editAlone(
    key: string,
    change: (entry: Entry) => Awaitable<Buffer>,
    condition: Condition | undefined,
    check?: (entry: EntryHeader) => void,
  ): Promise<Outcome | DatabaseError> {
    const compute = async (): Promise<Operation> => {
      const entry = await this.getEditable(key, condition, check);
      const value = await change(entry);
      checkValueSize(value.length, this.config.maxValueBytes);
      const ifMatch = [entry.etag];
      return { op: 'put', key, value, type: entry.type, expiry: 'keep', condition: { ifMatch } };
    };
    return computeAndPut(compute, (put) => (this.once ? this.once.putOver(put) : this.engine.write(put)));
  }

  private async getEditable(
    key: string,
    condition: Condition | undefined,
    check: ((entry: EntryHeader) => void) | undefined,
  ): Promise<Entry> {
    // Of many that are refused, each reads a value that may be large.
    await giveWay();
    if (check) {
      const header = await this.head(key);
      if (condition) assertHolds(condition, key, header);
      check(header);
    }
    const entry = await this.get(key);
    if (condition) assertHolds(condition, key, entry);
    return entry;
  }

  private refusalOf(operation: BatchOperation | DatabaseError, index: number): DatabaseError | undefined {
    if (operation instanceof DatabaseError) return operation;
    try {
      checkKey(operation.key);
      if (operation.op !== 'get') this.requireCondition(operation.condition);
      if (operation.op === 'put') checkValueSize(operation.value.length, this.config.maxValueBytes);
      return undefined;
    } catch (error) {
      return (error as DatabaseError).with({ index });
    }
  }

  private async write(operation: Operation): Promise<Written> {
    if (operation.op !== 'get') this.requireCondition(operation.condition);
    return writtenBy(operation.op, await (this.once ?? this.engine).write(operation));
  }
}

function present<T extends EntryHeader>(key: string, entry: T | undefined): T {
  if (!entry) throw new MissingKeyError(key);
  return entry;
}
