import type { DatabaseOptions, Key, RootDatabase } from 'lmdb';
import { join } from 'node:path';
import { DatabaseError, StartError } from '../../errors.js';
import { VERSION } from '../../version.js';
import { compareKeys } from '../key-range.js';
import { formatTag } from '../revision.js';
import type { Steps } from '../steps.js';
import { LARGE_VALUE_BYTES } from '../value-memory.js';
import { CommitNumbers } from './commit-numbers.js';
import { openRoot } from './environment.js';
import { FaultLog } from './fault-log.js';
import { DATA } from './folder.js';
import { utf8Keys } from './keys.js';
import { storeAfter, type LargeRecord } from './large-record.js';
import { Pauses, type TreeStats } from './pauses.js';
import { decode, decodeHeader, type StoredEntry } from './record.js';
import {
  decodeHead,
  encodeHead,
  FENCE,
  FORMAT,
  HEAD,
  HEAD_BYTES,
  isReadable,
  MADE_BY,
  SCRUB,
  STORE_FORMAT,
  TREES,
  unreadable,
  type Head,
} from './store-format.js';
import { DamagedPageError, Tree } from './tree.js';

const ACCEPTED = Buffer.alloc(1);

/** Records of more bytes are read in turns. */
export const LARGE_READ_BYTES = 2 ** 20;

/** A read transaction, which keeps its snapshot until it is done. */
export type Transaction = ReturnType<RootDatabase['useReadTransaction']>;

/**
 * Holds the LMDB environment and its named databases.
 *
 * `overlappingSync`, which the library turns on by default, is off: with it reads show data that is not durable yet, and
 * a write can be acknowledged whose sync fails.
 */
export class Store {
  /** Key → record (record.ts). */
  readonly entries: Tree<string | Buffer>;
  /** Time and key of each entry that expires (keys.ts). */
  readonly expiry: Tree<Buffer>;
  /** Sequence of the first change → segment of the change log (change-log.ts). */
  readonly log: Tree<number>;
  /** Which keys were removed, and when (past/removals.ts). */
  removals!: Tree<Buffer>;
  /** Name → private record of the server. */
  readonly system: Tree<string | Buffer>;
  /** Names what is damaged. */
  readonly faults = new FaultLog();
  private readonly meta: Tree<string>;
  private readonly root: RootDatabase<Buffer, string>;
  readonly pauses: Pauses;
  private numbers: CommitNumbers | undefined;

  private constructor(
    readonly folder: string,
    root: RootDatabase<Buffer, string>,
  ) {
    this.root = root;
    this.pauses = new Pauses(root);
    this.entries = this.openTree(textKeyed('entries'));
    this.expiry = this.openTree({ name: 'expiry', encoding: 'binary', keyEncoding: 'binary' });
    this.log = this.openTree({ name: 'log', encoding: 'binary' });
    this.system = this.openTree(textKeyed('system'));
    this.meta = this.openTree(textKeyed('meta'));
  }

  /**
   * Opens the LMDB files in `folder`, which the caller has checked to be sound.
   *
   * @param described what error messages call the folder
   * @throws StartError if Pigeonhole did not make the store, or with another storage format
   */
  static async open(folder: string, described: string, readOnly = false): Promise<Store> {
    const root = openRoot(folder, readOnly);
    const names = [...root.getKeys({ start: undefined })].map(String);
    if (!TREES.every((name) => names.includes(name))) {
      await root.close();
      throw new StartError(
        `DATABASE_URL: ${described} holds an LMDB database that Pigeonhole did not make. ` +
          'Name an empty or new folder; nothing was changed.',
      );
    }
    const store = new Store(folder, root);
    const format = store.meta.getBinary(FORMAT)?.readUInt32LE(0);
    if (isReadable(format)) {
      // Only now: it may have to be made, and a store that is refused stays as it is. Guests of a folder have no use for it.
      if (!readOnly)
        store.removals = store.openTree({ name: 'removals', encoding: 'binary', keyEncoding: 'binary' });
      const { pageSize } = store.meta.getStats();
      store.numbers = new CommitNumbers(join(folder, DATA), pageSize);
      return store;
    }
    const version = store.meta.getBinary(MADE_BY)?.toString();
    await store.close();
    throw unreadable(described, format, version);
  }

  /** Creates an empty store in an empty `folder`, which no other process may know yet. */
  static async create(folder: string): Promise<void> {
    const store = new Store(folder, openRoot(folder));
    await store.transaction(() => store.writeFormat());
    await store.close();
  }

  /**
   * Runs `work` in the one write transaction and resolves when it is durable. If `work` throws, its writes are rolled
   * back, which the library's plain transactions would not do. What `work` returns is the rest of it, which pauses.
   *
   * Those of the `large` records that `work` has accepted are stored after it, in the same transaction.
   *
   * @throws ForgottenCommitError
   */
  transaction(work: () => Steps<void> | void, large: readonly LargeRecord[] = []): Promise<unknown> {
    const checked = (): Promise<void> | undefined => {
      this.numbers?.check(this.root.getWriteTxnId());
      const rest = work();
      return rest ? this.pauses.run(rest) : undefined;
    };
    return large.length === 0
      ? this.root.childTransaction(checked)
      : storeAfter(checked, large, this.root, this.entries, this.meta);
  }

  /** Accepts a large record, which is complete, inside the transaction that it was announced to. */
  accept(record: LargeRecord): void {
    void this.meta.put(record.acceptedName, ACCEPTED);
  }

  /**
   * Checks that the present transaction can be committed. The library does not report all errors of its writes.
   *
   * @throws DamagedPageError
   */
  assertUsable(): void {
    try {
      this.meta.borrow(HEAD);
    } catch (error) {
      if (!(error instanceof DamagedPageError)) throw error;
      throw new DamagedPageError(
        'A page of the data file that the write needs is damaged. Nothing was applied. Restore a backup.',
      );
    }
  }

  /** Returns the entry in `record`, without its value unless `withValue`. @throws DatabaseError `corrupt` */
  decode(key: string, record: Buffer, withValue = true): StoredEntry {
    try {
      return withValue ? decode(key, record) : decodeHeader(key, record);
    } catch (error) {
      this.faults.note(error);
      throw error;
    }
  }

  /**
   * Checks that an iteration over entries leads on from `previous` to `key`. A damaged inner page can lead back, and an
   * iteration over it would repeat some entries and lack others, or never end.
   *
   * @throws DatabaseError `corrupt`
   */
  checkOrder(previous: string | undefined, key: string, reverse = false): void {
    if (previous === undefined || compareKeys(key, previous) * (reverse ? -1 : 1) > 0) return;
    const detail = `A page of the data file leads from the key \`${previous}\` back to \`${key}\`. Restore a backup.`;
    const error = new DatabaseError('corrupt', detail, { keys: [previous, key] });
    this.faults.note(error);
    throw error;
  }

  /**
   * Makes the next read use a new snapshot. Otherwise the library keeps one snapshot for a turn of the event loop, in
   * which reads would not see the commits of other processes.
   */
  freshen(): void {
    this.root.resetReadTxn();
  }

  /** Whether there may be large values. */
  get hasLargeValues(): boolean {
    const { overflowPages, pageSize } = this.entries.getStats();
    return overflowPages * pageSize > LARGE_VALUE_BYTES;
  }

  /** Returns the memory that the library copies values into that it is asked for. */
  libraryMemory(): Uint8Array {
    return new Uint8Array(this.meta.borrow(FORMAT)!.buffer);
  }

  entryCount(): number {
    return this.entries.getStats().entryCount;
  }

  readHead(): Head {
    return decodeHead(this.meta.getBinary(HEAD) ?? Buffer.alloc(HEAD_BYTES));
  }

  /** Returns the position of a reader that has seen every change so far. */
  position(): string {
    const { epoch, sequence } = this.readHead();
    return formatTag(epoch, sequence);
  }

  /** Writes the head, and makes the store one of the present format if it is not. */
  writeHead(head: Head): void {
    void this.meta.put(HEAD, encodeHead(head));
    if (this.meta.borrow(FORMAT)?.readUInt32LE(0) !== STORE_FORMAT) this.writeFormat();
  }

  private writeFormat(): void {
    const format = Buffer.alloc(4);
    format.writeUInt32LE(STORE_FORMAT);
    void this.meta.put(FORMAT, format);
    void this.meta.put(MADE_BY, Buffer.from(VERSION));
  }

  /** Returns where the database has moved. */
  fence(): string | undefined {
    return this.meta.getBinary(FENCE)?.toString();
  }

  /** Sets the fence, or lifts it, inside a transaction. */
  writeFence(place: string | undefined): void {
    if (place === undefined) void this.meta.remove(FENCE);
    else void this.meta.put(FENCE, Buffer.from(place));
  }

  /** Returns what is noted of the background check (scrub-record.ts). */
  scrubbed(): Buffer | undefined {
    return this.meta.getBinary(SCRUB);
  }

  /** Notes it, inside a transaction. */
  writeScrubbed(record: Buffer): void {
    void this.meta.put(SCRUB, record);
  }

  /** Returns the size of the data file and of its pages that no tree uses, bytes. Pages that readers pin count as free. */
  size(): { file: number; free: number } {
    const all = this.meta.getStats() as TreeStats & {
      root: TreeStats;
      free: TreeStats;
      lastPageNumber: number;
    };
    const trees = [
      all,
      all.root,
      all.free,
      ...[this.entries, this.expiry, this.log, this.removals, this.system].map((db) => db.getStats()),
    ];
    const used = trees.reduce(
      (pages, tree) => pages + tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages,
      2,
    );
    const total = all.lastPageNumber + 1;
    return { file: total * all.pageSize, free: Math.max(0, total - used) * all.pageSize };
  }

  /** Releases the snapshots of dead processes, which would pin their pages for ever. */
  releaseDeadReaders(): void {
    this.root.readerCheck();
  }

  /** Returns how many other processes have the store open: each has a slot in LMDB's table of readers. */
  peers(): number {
    this.releaseDeadReaders();
    const pids = [...this.root.readerList().matchAll(/^\s*([0-9]+) /gm)].map(([, pid]) => Number(pid));
    return new Set(pids.filter((pid) => pid !== process.pid)).size;
  }

  close(): Promise<void> {
    this.numbers?.close();
    return this.root.close();
  }

  private openTree<K extends Key>(options: DatabaseOptions & { name: string }): Tree<K> {
    return new Tree<K>(this.root.openDB(options), options.name, this.pauses, (error) => {
      // An error spoils the shared transaction for all reads of this turn.
      this.freshen();
      if (error instanceof DamagedPageError && !error.isAftermath) this.faults.note(error);
    });
  }
}

/** The cast is for `keyEncoder`, which the library's types do not have. */
function textKeyed(name: string): DatabaseOptions & { name: string } {
  return { name, encoding: 'binary', keyEncoder: utf8Keys } as DatabaseOptions & { name: string };
}
