import { open, type Database, type DatabaseOptions, type Key, type RootDatabase } from 'lmdb';
import { join } from 'node:path';
import { StartError } from '../../errors.js';
import type { Revision } from '../revision.js';
import { utf8Keys } from './keys.js';

/** Raised by one when a server of before could not read what this one writes. */
export const STORE_FORMAT = 2;

/** How much log there is, kept in the head of the store. */
export interface LogBounds {
  count: number;
  bytes: number;
  /** The last revision that the log no longer holds. */
  floor: Revision;
}

/** The head of the store: the last revision taken, the highest time seen (milliseconds since 1970), and the log's bounds. */
export interface Head {
  epoch: number;
  sequence: number;
  now: number;
  log: LogBounds;
}

const HEAD = 'head';
const FORMAT = 'format';
const HEAD_BYTES = 48;
const NAMES = ['entries', 'expiry', 'log', 'meta', 'system'] as const;

/**
 * The LMDB environment and its named databases, opened with the only settings that keep the promise: with the library's
 * default `overlappingSync`, reads show data before it is durable and a failed sync can be acknowledged.
 */
export class Store {
  /** key → record (record.ts) */
  readonly entries: Database<Buffer, string | Buffer>;
  /** time and key → nothing (keys.ts) */
  readonly expiry: Database<Buffer, Buffer>;
  /** sequence of its first change → segment of the change log (change-log.ts) */
  readonly log: Database<Buffer, number>;
  /** name → private record of the server */
  readonly system: Database<Buffer, string | Buffer>;
  private readonly meta: Database<Buffer, string>;
  private readonly root: RootDatabase<Buffer, string>;

  private constructor(
    readonly folder: string,
    root: RootDatabase<Buffer, string>,
  ) {
    this.root = root;
    this.entries = root.openDB(textKeyed('entries'));
    this.expiry = root.openDB({ name: 'expiry', encoding: 'binary', keyEncoding: 'binary' });
    this.log = root.openDB({ name: 'log', encoding: 'binary' });
    this.system = root.openDB(textKeyed('system'));
    this.meta = root.openDB(textKeyed('meta'));
  }

  /** Opens the LMDB files in `folder`, which the caller has checked to be sound. @throws StartError if not ours */
  static async open(folder: string, described: string, readOnly = false): Promise<Store> {
    const root = openRoot(folder, readOnly);
    const names = [...root.getKeys({ start: undefined })].map(String);
    if (!NAMES.every((name) => names.includes(name))) {
      await root.close();
      throw new StartError(
        `DATABASE_URL: ${described} holds an LMDB database that Pigeonhole did not make. ` +
          'Name an empty or new folder; nothing was changed.',
      );
    }
    const store = new Store(folder, root);
    const format = store.meta.get(FORMAT)?.readUInt32LE(0);
    if (format === STORE_FORMAT) return store;
    await store.close();
    throw new StartError(
      `DATABASE_URL: ${described} has storage format ${format ?? 'unknown'}; this version of Pigeonhole reads ` +
        `format ${STORE_FORMAT}. Start it with the version that wrote it; nothing was changed.`,
    );
  }

  /** Makes an empty store in an empty `folder`. Nobody else may see the folder yet. */
  static async create(folder: string): Promise<void> {
    const store = new Store(folder, openRoot(folder));
    const format = Buffer.alloc(4);
    format.writeUInt32LE(STORE_FORMAT);
    await store.transaction(() => store.meta.put(FORMAT, format));
    await store.close();
  }

  /**
   * Runs `work` in the one write transaction; resolves when it is durable. What `work` has written is taken back if it
   * throws: the library's plain transactions would keep it.
   */
  transaction<T>(work: () => T): Promise<T> {
    return this.root.childTransaction(work);
  }

  /** What is stored under `key`, in the library's own memory, which its next read overwrites. */
  borrow<K extends Key>(database: Database<Buffer, K>, key: K): Buffer | undefined {
    const bytes = database.getBinaryFast(key);
    return (
      bytes &&
      Buffer.from(bytes.buffer, bytes.byteOffset, (database as unknown as { lastSize: number }).lastSize)
    );
  }

  /** Lets the next read begin anew. Within a turn of the event loop it would not see what another process commits. */
  freshen(): void {
    this.root.resetReadTxn();
  }

  entryCount(): number {
    return (this.entries.getStats() as TreeStats).entryCount;
  }

  readHead(): Head {
    const bytes = this.meta.get(HEAD) ?? Buffer.alloc(HEAD_BYTES);
    return {
      epoch: bytes.readUInt32LE(0),
      sequence: bytes.readDoubleLE(4),
      now: bytes.readDoubleLE(12),
      log: {
        count: bytes.readDoubleLE(20),
        bytes: bytes.readDoubleLE(28),
        floor: { epoch: bytes.readUInt32LE(36), sequence: bytes.readDoubleLE(40) },
      },
    };
  }

  writeHead({ epoch, sequence, now, log }: Head): void {
    const bytes = Buffer.allocUnsafe(HEAD_BYTES);
    bytes.writeUInt32LE(epoch, 0);
    bytes.writeDoubleLE(sequence, 4);
    bytes.writeDoubleLE(now, 12);
    bytes.writeDoubleLE(log.count, 20);
    bytes.writeDoubleLE(log.bytes, 28);
    bytes.writeUInt32LE(log.floor.epoch, 36);
    bytes.writeDoubleLE(log.floor.sequence, 40);
    void this.meta.put(HEAD, bytes);
  }

  /** Length of the data file, and how much of it no tree uses, bytes. What readers pin counts as free here. */
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
      ...[this.entries, this.expiry, this.log, this.system].map((db) => db.getStats()),
    ];
    const used = (trees as TreeStats[]).reduce(
      (pages, tree) => pages + tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages,
      2,
    );
    const total = all.lastPageNumber + 1;
    return { file: total * all.pageSize, free: Math.max(0, total - used) * all.pageSize };
  }

  /** Gives back the snapshots of processes that have died; LMDB by itself would keep them, and the pages they pin, for ever. */
  buryDeadReaders(): void {
    this.root.readerCheck();
  }

  /** How many other processes have the store open: each has a place in LMDB's table of readers. */
  peers(): number {
    this.buryDeadReaders();
    const pids = [...this.root.readerList().matchAll(/^\s*([0-9]+) /gm)].map(([, pid]) => Number(pid));
    return new Set(pids.filter((pid) => pid !== process.pid)).size;
  }

  /** Copies one instant of the store into the empty `folder`; answers the name of the file. */
  async copyTo(folder: string): Promise<string> {
    await this.root.backup(folder, true);
    return join(folder, 'data.mdb');
  }

  close(): Promise<void> {
    return this.root.close();
  }
}

interface TreeStats {
  pageSize: number;
  entryCount: number;
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
}

/** The library's types leave `keyEncoder` out. */
function textKeyed(name: string): DatabaseOptions & { name: string } {
  return { name, encoding: 'binary', keyEncoder: utf8Keys } as DatabaseOptions & { name: string };
}

function openRoot(folder: string, readOnly = false): RootDatabase<Buffer, string> {
  return open<Buffer, string>({
    path: folder,
    readOnly,
    noSubdir: false,
    encoding: 'binary',
    overlappingSync: false,
    cache: false,
    compression: false,
    maxReaders: 1024,
    maxDbs: 8,
    mapSize: 64 * 2 ** 30,
    // Batching by turns keeps a promise of its own that nobody can catch when a commit fails, and delays each commit
    // by a turn; GroupCommit batches already.
    eventTurnBatching: false,
  });
}
