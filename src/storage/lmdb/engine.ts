import type { DatabaseError } from '../../errors.js';
import { Clock } from '../clock.js';
import type { Entry } from '../entry.js';
import { prefixEnd } from '../key-range.js';
import type { BatchOperation, Operation, Outcome } from '../operation.js';
import {
  StorageEngine,
  type Change,
  type EngineState,
  type EngineStats,
  type OpenSettings,
  type RangePage,
  type RangeQuery,
  type ScanRange,
} from '../storage-engine.js';
import { formatTag } from '../revision.js';
import { backUp } from './backup.js';
import { ChangeLogReader, ChangeLogWriter } from './change-log.js';
import { openDataFolder } from './data-folder.js';
import { DiskSpace } from './disk-space.js';
import { GroupCommit } from './group-commit.js';
import { firstAfter, splitExpiryKey } from './keys.js';
import { readPage } from './ranges.js';
import { decode, type StoredEntry } from './record.js';
import { Scans } from './scans.js';
import { Store } from './store.js';
import { Writer } from './writer.js';

const SWEEP_EVERY_MS = 500;
/** How soon watchers hear of what another process has written. */
const LOOK_EVERY_MS = 10;
const COUNT_AT_ONCE = 20_000;
const SCANS_AT_ONCE = 16;

export interface LmdbSettings extends OpenSettings {
  /** What the process does when the store can take no more writes. */
  readonly onFailure: (error: Error) => void;
  /** After how long a scan is broken off, milliseconds. */
  readonly maxSnapshotAge: number;
  /** How large the change log may grow, bytes. */
  readonly watchLogBytes: number;
}

/**
 * The embedded engine: an LMDB store in a folder, memory-mapped and copy-on-write.
 *
 * Reads go straight to the map. Writes go through GroupCommit, are decided against the store inside its one
 * transaction, and are answered once that is on the disk. The rest of this folder: store.ts opens LMDB, data-folder.ts
 * guards it, record.ts and keys.ts are the bytes, change-log.ts what watchers read, disk-room.ts the reserve, scans.ts the
 * long readers.
 */
export class LmdbEngine extends StorageEngine {
  readonly capabilities = {
    durable: true,
    orderedTags: true,
    snapshots: true,
    atomicAcrossKeys: true,
    totalOrder: true,
    backup: true,
  };

  private store!: Store;
  private isShared = false;
  private commits!: GroupCommit;
  private room!: DiskSpace;
  private writer!: Writer;
  private scans!: Scans;
  private log!: ChangeLogReader;
  private changed = false;
  private readonly listeners = new Set<() => void>();
  private sweeper: NodeJS.Timeout | undefined;
  private lookout: NodeJS.Timeout | undefined;
  /** The last sequence that this process has told its listeners of. */
  private announced = 0;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly settings: LmdbSettings,
    private readonly clock = new Clock(),
  ) {
    super();
  }

  async open(): Promise<void> {
    const { readOnly = false, processes = 1, maxSnapshotAge } = this.settings;
    this.store = await openDataFolder(this.folder, readOnly);
    this.clock.raise(this.store.readHead().now);
    this.room = new DiskSpace(this.store);
    this.isShared = processes > 1;
    const scans = Math.ceil(SCANS_AT_ONCE / processes);
    this.scans = new Scans(this.store, this.clock, this.room, maxSnapshotAge, scans);
    this.log = new ChangeLogReader(this.store);
    const log = new ChangeLogWriter(this.store, this.settings.watchLogBytes);
    this.writer = new Writer(this.store, this.clock, this.room, log);
    this.commits = new GroupCommit({
      transaction: (work) => this.store.transaction(work),
      isFull: () => this.room.isFull(),
      begin: () => this.writer.begin(),
      end: () => void (this.changed ||= this.writer.end()),
      committed: () => this.announce(),
      fail: this.settings.onFailure,
    });
    if (!readOnly) this.sweeper = setInterval(() => this.sweep(), SWEEP_EVERY_MS).unref();
    if (this.isShared) this.lookout = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    process.on('exit', this.dropCommit);
  }

  /**
   * Ends a process that exits in the middle of a commit. Node would wait for the thread that writes, which waits for this one to
   * run its transaction: for ever, and with the lock on which all other processes of the store wait.
   */
  private readonly dropCommit = (): void => {
    if (this.commits.isRunning) process.kill(process.pid, 'SIGKILL');
  };

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    clearInterval(this.sweeper);
    clearInterval(this.lookout);
    await this.commits?.settle();
    process.off('exit', this.dropCommit);
    this.scans?.close();
    await this.store?.close();
  }

  now(): number {
    return this.clock.now();
  }

  get(key: string): Entry | undefined {
    const record = this.current.entries.getBinary(key);
    return record && this.live(decode(key, record));
  }

  write(operation: Operation): Promise<Outcome> {
    return this.commits.submit(sizeOf(operation), () => this.writer.perform(operation));
  }

  batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const bytes = operations.reduce((sum, operation) => sum + sizeOf(operation), 0);
    return this.commits.submit(bytes, () =>
      atomic ? this.writer.performAll(operations, maxBytes) : this.writer.performEach(operations, maxBytes),
    );
  }

  range(query: RangeQuery): RangePage {
    const { current } = this;
    // Of the same instant as the page: a change between the two would be taken for one that the page shows.
    return { ...readPage(current, query, this.now()), position: positionOf(current) };
  }

  scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    return this.scans.scan(range);
  }

  async count(prefix: string): Promise<number> {
    const end = prefixEnd(prefix);
    const { current } = this;
    let count = -this.countExpired(prefix);
    if (prefix === '') return count + current.entryCount();
    // In steps, so that counting millions does not hold up other requests.
    for (let start: string | Buffer | undefined = prefix; start !== undefined;) {
      const options = { start, end, limit: COUNT_AT_ONCE, values: false };
      let last: string | undefined;
      let step = 0;
      for (const key of this.store.entries.getKeys(options)) {
        last = key as string;
        step++;
      }
      count += step;
      start = step === COUNT_AT_ONCE ? `${last}\0` : undefined;
      if (start !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
    return count;
  }

  position(): string {
    return positionOf(this.current);
  }

  changes(position: string): Change[] | undefined {
    if (this.isShared) this.store.freshen();
    return this.log.after(position);
  }

  /** Positions and tags are one sequence of fixed width, so that text compares as time does. */
  covers(position: string, change: Pick<Change, 'position'>): boolean {
    return change.position <= position;
  }

  includes(position: string, other: string): boolean {
    return other <= position;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  stats(): EngineStats {
    return {
      entries: this.current.entryCount() - this.countExpired(''),
      storedBytes: this.store.size().file,
      roomBytes: this.room.available(),
    };
  }

  state(): EngineState {
    const notes: string[] = [];
    if (!this.commits.isWorking) notes.push('The disk does not confirm writes at present.');
    if (this.room.available() <= 0) notes.push('The disk is full: puts are refused until there is room.');
    return { ready: notes.length === 0, notes };
  }

  peers(): number {
    return this.store.peers();
  }

  backup(target: string): Promise<void> {
    return backUp(this.store, target);
  }

  readonly system = {
    get: (name: string) => this.current.system.getBinary(name),
    put: (name: string, value: Buffer) =>
      this.commits.submit(value.length, () => {
        this.room.claim(value.length);
        void this.store.system.put(name, Buffer.from(value));
      }),
    delete: (name: string) => this.commits.submit(0, () => void this.store.system.remove(name)),
    list: (prefix: string) =>
      [...this.current.system.getRange({ start: prefix || undefined, end: prefixEnd(prefix) })].map(
        ({ key, value }) => ({ name: key as string, value }),
      ),
  };

  /** The store for a read that sees all that has been answered, by whatever process. */
  private get current(): Store {
    if (this.isShared) this.store.freshen();
    return this.store;
  }

  private live(entry: StoredEntry): StoredEntry | undefined {
    return entry.expires !== 0 && entry.expires <= this.clock.now() ? undefined : entry;
  }

  private countExpired(prefix: string): number {
    let count = 0;
    for (const bytes of this.store.expiry.getKeys({ start: undefined, end: firstAfter(this.clock.now()) })) {
      if (splitExpiryKey(bytes).key.startsWith(prefix)) count++;
    }
    return count;
  }

  private announce(): void {
    if (!this.changed) return;
    this.changed = false;
    for (const listener of this.listeners) listener();
  }

  /** Looks for what other processes have written. */
  private look(): void {
    if (this.listeners.size === 0) return;
    const { sequence } = this.current.readHead();
    if (sequence === this.announced) return;
    this.announced = sequence;
    for (const listener of this.listeners) listener();
  }

  private sweep(): void {
    const [first] = this.store.expiry.getKeys({
      start: undefined,
      end: firstAfter(this.clock.now()),
      limit: 1,
    });
    if (!first) return;
    this.commits
      .submit(0, () => this.writer.removeExpired())
      .then((more) => more && this.sweep())
      .catch(() => undefined); // the next tick tries again
  }
}

function positionOf(store: Store): string {
  const { epoch, sequence } = store.readHead();
  return formatTag(epoch, sequence);
}

function sizeOf(operation: Operation): number {
  return operation.op === 'put' ? operation.value.length : 0;
}
