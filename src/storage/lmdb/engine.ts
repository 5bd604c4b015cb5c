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
import { endOfExpired } from './keys.js';
import { countExpired, countKeys, readPage } from './ranges.js';
import { decode, type StoredEntry } from './record.js';
import { Scans } from './scans.js';
import { Store } from './store.js';
import { Writer } from './writer.js';

const SWEEP_EVERY_MS = 500;
/** How often the engine looks for commits of other processes, for its listeners. */
const POLL_EVERY_MS = 10;
/** Of all processes together. */
const SCANS_AT_ONCE = 16;

export interface LmdbSettings extends OpenSettings {
  /** Called when the store can take no more writes, so that the process has to end. */
  readonly onFailure: (error: Error) => void;
  /** For how long a scan may hold its snapshot, milliseconds. */
  readonly maxSnapshotAge: number;
  /** By how many bytes the data file may grow because of one scan. By default a quarter of the free disk, at least 1 GiB. */
  readonly maxSnapshotBytes?: number | 'auto';
  /** Largest size of the change log, bytes. */
  readonly watchLogBytes: number;
}

/**
 * Stores entries in an LMDB environment, which is memory-mapped and copy-on-write, in a folder of this machine.
 *
 * Reads go straight to the memory map. Writes wait for the next group commit (group-commit.ts), are decided inside its
 * one transaction (writer.ts) and resolve when that is on the disk. data-folder.ts protects the folder, store.ts opens
 * LMDB, record.ts and keys.ts define the stored bytes. change-log.ts keeps the log, disk-space.ts a reserve of the disk,
 * scans.ts the long readers within limits.
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
  private space!: DiskSpace;
  private writer!: Writer;
  private scans!: Scans;
  private log!: ChangeLogReader;
  private changed = false;
  private readonly listeners = new Set<() => void>();
  private sweeper: NodeJS.Timeout | undefined;
  private poller: NodeJS.Timeout | undefined;
  /** The sequence of the store when it was polled last. */
  private polledSequence = 0;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly settings: LmdbSettings,
    private readonly clock = new Clock(),
  ) {
    super();
  }

  async open(): Promise<void> {
    const { readOnly = false, processes = 1, maxSnapshotAge, maxSnapshotBytes } = this.settings;
    this.store = await openDataFolder(this.folder, readOnly);
    this.clock.raise(this.store.readHead().now);
    this.space = new DiskSpace(this.store);
    this.isShared = processes > 1;
    const scans = Math.ceil(SCANS_AT_ONCE / processes);
    this.scans = new Scans(this.store, this.clock, this.space, maxSnapshotAge, scans, maxSnapshotBytes);
    this.log = new ChangeLogReader(this.store);
    const log = new ChangeLogWriter(this.store, this.settings.watchLogBytes);
    this.writer = new Writer(this.store, this.clock, this.space, log);
    this.commits = new GroupCommit({
      transaction: (work) => this.store.transaction(work),
      isFull: () => this.space.isFull(),
      begin: () => this.writer.begin(),
      end: () => void (this.changed ||= this.writer.end()),
      committed: () => this.notifyOfCommit(),
      fail: this.settings.onFailure,
    });
    if (!readOnly) this.sweeper = setInterval(() => this.sweep(), SWEEP_EVERY_MS).unref();
    if (this.isShared) this.poller = setInterval(() => this.poll(), POLL_EVERY_MS).unref();
    process.on('exit', this.abandonCommit);
  }

  /**
   * Kills a process that exits during a commit. Node would wait for the writing thread, which waits for this thread to run
   * its transaction. That would never end, and the thread holds the lock that all other processes need to write.
   */
  private readonly abandonCommit = (): void => {
    if (this.commits.isRunning) process.kill(process.pid, 'SIGKILL');
  };

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    clearInterval(this.sweeper);
    clearInterval(this.poller);
    await this.commits?.settle();
    process.off('exit', this.abandonCommit);
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
    return this.commits.submit(sizeOf(operation), () => this.writer.apply(operation));
  }

  batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const bytes = operations.reduce((sum, operation) => sum + sizeOf(operation), 0);
    return this.commits.submit(bytes, () =>
      atomic ? this.writer.applyAll(operations, maxBytes) : this.writer.applyEach(operations, maxBytes),
    );
  }

  range(query: RangeQuery): RangePage {
    const { current } = this;
    // Page and position are of one snapshot: a change between them would count as one that the page shows.
    return { ...readPage(current, query, this.now()), position: positionOf(current) };
  }

  scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    return this.scans.scan(range);
  }

  count(prefix: string): Promise<number> {
    return countKeys(this.current, prefix, this.now());
  }

  position(): string {
    return positionOf(this.current);
  }

  changes(position: string): Change[] | undefined {
    if (this.isShared) this.store.freshen();
    return this.log.after(position);
  }

  /** Positions are tags, which sort by age as strings. */
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
      entries: this.current.entryCount() - countExpired(this.store, '', this.now()),
      storedBytes: this.store.size().file,
      availableBytes: this.space.available(),
    };
  }

  state(): EngineState {
    const notes: string[] = [];
    if (!this.commits.isWorking) notes.push('The disk does not confirm writes at present.');
    if (this.space.available() <= 0) notes.push('The disk is full: puts are refused until there is space.');
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
        this.space.claim(value.length);
        void this.store.system.put(name, Buffer.from(value));
      }),
    delete: (name: string) => this.commits.submit(0, () => void this.store.system.remove(name)),
    list: (prefix: string) =>
      [...this.current.system.getRange({ start: prefix || undefined, end: prefixEnd(prefix) })].map(
        ({ key, value }) => ({ name: key as string, value }),
      ),
  };

  /** The store, for a read that sees every acknowledged write of every process. */
  private get current(): Store {
    if (this.isShared) this.store.freshen();
    return this.store;
  }

  private live(entry: StoredEntry): StoredEntry | undefined {
    return entry.expires !== 0 && entry.expires <= this.clock.now() ? undefined : entry;
  }

  private notifyOfCommit(): void {
    if (!this.changed) return;
    this.changed = false;
    for (const listener of this.listeners) listener();
  }

  /** Notifies the listeners of what other processes have committed. */
  private poll(): void {
    if (this.listeners.size === 0) return;
    const { sequence } = this.current.readHead();
    if (sequence === this.polledSequence) return;
    this.polledSequence = sequence;
    for (const listener of this.listeners) listener();
  }

  private sweep(): void {
    const [first] = this.store.expiry.getKeys({
      start: undefined,
      end: endOfExpired(this.clock.now()),
      limit: 1,
    });
    if (!first) return;
    this.commits
      .submit(0, () => this.writer.removeExpired())
      .then((more) => more && this.sweep())
      .catch(() => undefined); // The next sweep tries again.
  }
}

function positionOf(store: Store): string {
  const { epoch, sequence } = store.readHead();
  return formatTag(epoch, sequence);
}

function sizeOf(operation: Operation): number {
  return operation.op === 'put' ? operation.value.length : 0;
}
