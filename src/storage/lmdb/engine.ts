import type { BackupCopy, BackupTarget } from '../backup-copy.js';
import { Clock } from '../clock.js';
import type { Entry, EntryHeader } from '../entry.js';
import type { KeyedAnswer, KeyedWrite } from '../idempotency.js';
import type { KeyRange } from '../key-range.js';
import type { Operation, Outcome } from '../operation.js';
import { recentChange, type RecentChange } from '../recent-change.js';
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
} from '../storage-engine.js';
import { writeQueueBytes } from '../storage-meters.js';
import { Admissions, askForAdmission } from './admission.js';
import { Backups } from './backup/make-backup.js';
import { CommitListeners } from './commit-listeners.js';
import { ChangeLogReader, ChangeLogWriter } from './change-log.js';
import { openDataFolder } from './data-folder.js';
import { DiskSpace } from './disk-space.js';
import { lockFolder, type FolderLock } from './folder-lock.js';
import { GroupCommit } from './group-commit.js';
import { openInChild } from './guest.js';
import { KeyedWrites } from './keyed-writes.js';
import { LargeValues } from './large-values.js';
import { LmdbPast } from './past/past.js';
import { RemovalIndexer } from './past/removal-indexer.js';
import { countLive, readPage } from './ranges.js';
import type { StoredEntry } from './record.js';
import { Scans, SCANS_AT_ONCE } from './scans.js';
import { Scrub } from './scrub/scrub.js';
import { scrubNotes } from './scrub/scrub-record.js';
import type { LmdbSettings } from './settings.js';
import { startClock } from './store-clock.js';
import { LARGE_READ_BYTES, Store } from './store.js';
import { Sweeper } from './sweeper.js';
import { SystemRecords } from './system-records.js';
import { Writer } from './writer.js';
import { Writes } from './writes.js';

/**
 * Stores entries in an LMDB environment, which is memory-mapped and copy-on-write, in a folder of this machine.
 *
 * Reads go straight to the memory map. Writes wait for the next group commit (group-commit.ts), are decided inside its
 * one transaction (writer.ts) and resolve when that is on the disk. folder-lock.ts and data-folder.ts protect the folder,
 * store.ts opens LMDB, record.ts and keys.ts define the stored bytes. change-log.ts keeps the log, disk-space.ts a reserve
 * of the disk, scans.ts the long readers within limits.
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

  system!: SystemRecords;
  past!: LmdbPast;
  private lock: FolderLock | undefined;
  private store!: Store;
  private isShared = false;
  private commits!: GroupCommit;
  private space!: DiskSpace;
  private writer!: Writer;
  private keyed!: KeyedWrites;
  private writes!: Writes;
  private large!: LargeValues;
  private scans!: Scans;
  private backups!: Backups;
  private listeners: CommitListeners | undefined;
  private sweeper: Sweeper | undefined;
  private indexer: RemovalIndexer | undefined;
  private scrub: Scrub | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly settings: LmdbSettings,
    private readonly clock = new Clock(),
  ) {
    super();
  }

  async open(): Promise<void> {
    const { settings } = this;
    const { readOnly = false, processes = 1, maxSnapshotAge: maxAge, report, onFault, scrubEvery } = settings;
    const hold = (): Promise<() => void> => this.commits.hold();
    const admissions = new Admissions(() => (this.commits ? hold : undefined));
    // Whoever starts several processes has locked the folder for them.
    if (!readOnly && processes === 1) this.lock = await lockFolder(this.folder, report, admissions.welcome);
    const admission = this.lock ? undefined : await askForAdmission(this.folder);
    this.store = await openDataFolder(this.folder, readOnly).catch((error) => {
      this.lock?.release();
      admission?.opened();
      throw error;
    });
    if (onFault) this.store.faults.report = onFault;
    startClock(this.clock, this.store.readHead().now, this.folder, report);
    this.space = new DiskSpace(this.store);
    this.large = new LargeValues(this.store);
    this.isShared = processes > 1;
    const most = [maxAge, Math.ceil(SCANS_AT_ONCE / processes), settings.maxSnapshotBytes] as const;
    this.scans = new Scans(this.store, this.clock, this.space, ...most);
    this.backups = new Backups(this.store, this.scans);
    const log = new ChangeLogWriter(this.store, settings.watchLogBytes);
    this.writer = new Writer(this.store, this.clock, this.space, log, settings.passesFence);
    this.keyed = new KeyedWrites(this.store, this.clock, this.space, this.writer, settings);
    const listeners = (this.listeners = new CommitListeners(this.store, this.isShared));
    this.commits = new GroupCommit({
      transaction: (work, large) => this.store.transaction(work, large),
      isFull: (error) => this.space.isFull(error),
      begin: (large, goesOn) => {
        this.keyed.begin();
        return this.writer.begin(large, goesOn);
      },
      preparePauses: () => this.store.pauses.prepare(),
      check: () => this.store.assertUsable(),
      remember: () => openInChild(this.folder),
      end: () => {
        if (this.writer.end()) listeners.noteChange();
      },
      committed: () => {
        this.writer.countChanges();
        listeners.notify();
      },
      fail: settings.onFailure,
    });
    this.writes = new Writes(this.commits, this.writer, this.keyed, this.large, (key) => this.get(key));
    writeQueueBytes.value = () => this.commits.waitingBytes;
    this.system = new SystemRecords(this.store, this.commits, this.space);
    admission?.opened(readOnly ? undefined : hold);
    this.indexer = new RemovalIndexer(this.store, this.commits, this.space, readOnly);
    this.past = new LmdbPast(() => this.current, this.clock, this.indexer);
    if (!readOnly) this.sweeper = new Sweeper(this.store, this.clock, this.commits, this.writer);
    if (scrubEvery) this.scrub = new Scrub(this.store, this.scans, this.commits, scrubEvery);
    process.on('exit', this.abandonCommit);
  }

  /** Kills a process that exits in a commit: Node would wait for the writing thread, which waits for this one, and has the lock. */
  private readonly abandonCommit = (): void => {
    if (this.commits.isRunning) process.kill(process.pid, 'SIGKILL');
  };

  close(): Promise<void> {
    return (this.closing ??= this.shutDown());
  }

  private async shutDown(): Promise<void> {
    const { sweeper, indexer, scrub, listeners, backups } = this;
    for (const each of [sweeper, scrub, listeners, backups]) each?.stop();
    await indexer?.stop();
    await this.commits?.settle();
    process.off('exit', this.abandonCommit);
    this.scans?.close();
    await this.store?.close();
    this.lock?.release();
  }

  now(): number {
    return this.clock.now();
  }

  get(key: string): Awaitable<Entry | undefined> {
    const record = this.current.entries.getUpTo(key, LARGE_READ_BYTES);
    if (typeof record === 'number')
      return this.large.read(key, record).then((entry) => entry && this.live(entry));
    return record && this.live(this.store.decode(key, record));
  }

  head(key: string): EntryHeader | undefined {
    const record = this.current.entries.borrow(key);
    return record && this.live(this.store.decode(key, record, false));
  }

  write(operation: Operation): Promise<Outcome> {
    return this.writes.write(operation);
  }

  batch(...batch: Parameters<StorageEngine['batch']>): ReturnType<StorageEngine['batch']> {
    return this.writes.batch(...batch);
  }

  writeOnce(write: KeyedWrite): Promise<KeyedAnswer> {
    return this.writes.once(write);
  }

  recall(write: Pick<KeyedWrite, 'key' | 'operations'>): KeyedAnswer | undefined {
    if (this.isShared) this.store.freshen();
    return this.keyed.recall(write);
  }

  range(query: RangeQuery): Awaitable<RangePage> {
    const { current } = this;
    const now = this.now();
    // Page and position are of one snapshot: a change between them would count as one that the page shows.
    const { done, value } = readPage(current, query, now).next();
    if (done) return { ...value, position: current.position() };
    return this.scans.run(function* (transaction) {
      const position = current.position();
      return { ...(yield* readPage(current, query, now, transaction)), position };
    });
  }

  scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    return this.scans.scan(range);
  }

  count(range: KeyRange): Promise<RangeCount> {
    const { store } = this;
    const now = this.now();
    return this.scans.run(function* (transaction) {
      const position = store.position();
      return { keys: yield* countLive(store, range, now, transaction), position };
    });
  }

  position(): string {
    return this.current.position();
  }

  changes(position: string): LogPage | undefined {
    const changes = new ChangeLogReader(this.current).after(position);
    return changes && { changes, position: changes.at(-1)?.position ?? position };
  }

  async newestChanges(limit: number, prefix: string): Promise<RecentChange[]> {
    const log = new ChangeLogReader(this.store);
    return (await this.scans.run((transaction) => log.newest(limit, prefix, transaction))).map(recentChange);
  }

  /** Positions are tags, which sort by age as strings. */
  covers(position: string, change: Pick<Change, 'position'>): boolean {
    return change.position <= position;
  }

  includes(position: string, other: string): boolean {
    return other <= position;
  }

  onChange(listener: () => void): () => void {
    return this.listeners!.add(listener);
  }

  stats(): EngineStats {
    const { current } = this;
    const { file, free } = current.size();
    return {
      entries: current.entryCount(),
      storedBytes: file,
      availableBytes: this.space.available(),
      freeBytes: free,
      logBytes: current.readHead().log.bytes,
      oldestChange: new ChangeLogReader(current).oldestTime(),
    };
  }

  state(): EngineState {
    const stuck = this.commits.isWorking ? undefined : 'The disk does not confirm writes at present.';
    const faults = [stuck, this.space.fault()].filter((note) => note !== undefined);
    return { ready: faults.length === 0, notes: [...faults, ...scrubNotes(this.current)] };
  }

  peers(): number {
    return this.store.peers();
  }

  fence(): string | undefined {
    this.store.freshen();
    return this.store.fence();
  }

  setFence(place: string | undefined): Promise<void> {
    return this.commits.submit(0, () => this.store.writeFence(place), { passesFence: true });
  }

  backup(target?: BackupTarget, signal?: AbortSignal): Promise<BackupCopy> {
    return this.backups.make(target, signal);
  }

  /** The store, for a read that sees every acknowledged write of every process. */
  private get current(): Store {
    if (this.isShared) this.store.freshen();
    return this.store;
  }

  private live(entry: StoredEntry): StoredEntry | undefined {
    return entry.expires !== 0 && entry.expires <= this.clock.now() ? undefined : entry;
  }
}
