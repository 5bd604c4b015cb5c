import type { DatabaseError } from '../errors.js';
import type { Entry, EntryHeader } from './entry.js';
import type { BatchOperation, Operation, Outcome } from './operation.js';

/** A value that may be there at once or later: an embedded engine reads without a promise, a remote one cannot. */
export type Awaitable<T> = T | Promise<T>;

/** What an engine promises beyond the contract, or cannot promise. Differences are declared here, never asked for. */
export interface Capabilities {
  /**
   * A write that was answered outlives this process. In a store of our own it survives power loss too; in somebody else's
   * server what that one's persistence and replicas survive.
   */
  readonly durable: boolean;
  /** Tags compare by age as strings (fencing tokens). */
  readonly orderedTags: boolean;
  /** A scan and a backup show one instant. Otherwise each entry is whole, and those written meanwhile old or new. */
  readonly snapshots: boolean;
  /** An atomic batch may name any keys. Otherwise they must share a partition, or it fails with `cross-slot`. */
  readonly atomicAcrossKeys: boolean;
  /** Changes of all keys come in one order, and each has a short position to go on from. Otherwise in order for each key. */
  readonly totalOrder: boolean;
  /** `backup` works; otherwise it fails with `not-supported`. */
  readonly backup: boolean;
}

/** Which part of the ordered keys a page shows. Order is that of the keys' UTF-8 bytes. */
export interface RangeQuery {
  /** Only keys that begin with this text; the empty text is every key. */
  readonly prefix: string;
  /** Only keys past this one, in the direction of the page. The name of a group skips the whole group. */
  readonly after?: string;
  /** Most items and groups on the page, from 1. */
  readonly limit: number;
  /** Folds keys that have this text behind the prefix into one group, named up to and with the text. */
  readonly delimiter?: string;
  /** Downwards. */
  readonly reverse?: boolean;
  /** Whether items carry their values; the page then also ends once it holds `maxBytes` of them. */
  readonly values?: boolean;
  /** Bytes of values after which a page ends, at least one item in any case. */
  readonly maxBytes?: number;
}

/** One page of a range, from one instant of each key. */
export interface RangePage {
  readonly items: readonly (EntryHeader & { readonly value?: Buffer })[];
  readonly groups: readonly string[];
  /** The `after` of the next page; undefined when nothing follows. */
  readonly next: string | undefined;
  /** The position in the change log that the page shows the state of. */
  readonly position: string;
}

/** What a scan visits, in key order. */
export interface ScanRange {
  readonly prefix: string;
  /** Without values, `value` is empty and `size` still true. */
  readonly values: boolean;
}

/** How a store is opened. */
export interface OpenSettings {
  /** Beside others that write: nothing is made, swept or written, and a store that is not there is refused. */
  readonly readOnly?: boolean;
  /**
   * How many processes work on the store at once, this one included; 1 by default. What others write is seen at once and
   * announced soon, and the limits of the store are shared among them.
   */
  readonly processes?: number;
}

/** An engine's figures, for health, metrics and the console. */
export interface EngineStats {
  /** Live entries. */
  readonly entries: number;
  /** Bytes the store takes where it lives. */
  readonly storedBytes: number;
  /** Bytes that can still be written before writes are refused; undefined when the engine cannot tell. */
  readonly roomBytes: number | undefined;
}

/** Whether an engine can do its work at present. */
export interface EngineState {
  /** Reads and writes of every key can be expected to succeed. */
  readonly ready: boolean;
  /** What is wrong, and what makes this deployment promise less than it could: a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Small private records of the server itself (tokens, …), as durable as entries. No range, scan, count or watch of
 * user keys ever shows them. Names are ASCII, at most 256 bytes; a listing is in byte order.
 */
export interface SystemKeyspace {
  get(name: string): Awaitable<Buffer | undefined>;
  put(name: string, value: Buffer): Promise<void>;
  delete(name: string): Promise<void>;
  list(prefix: string): Awaitable<{ name: string; value: Buffer }[]>;
}

/** The private record of a database that is being filled by a migration: from where. No server may use it until that is over. */
export const MIGRATION = 'migration';

/** Largest value that the change log keeps, bytes. */
export const LOGGED_VALUE_BYTES = 64 * 1024;

/** A change of one key, as the change log keeps it: what watchers are told. */
export interface Change {
  /** Where a reader goes on after this change. */
  readonly position: string;
  readonly kind: 'put' | 'delete' | 'expire';
  readonly key: string;
  /** The tag of the change itself: of a put, that of the entry it made. */
  readonly etag: string;
  /** Of a put: the entry it made. */
  readonly entry?: EntryHeader;
  /** Of a put, unless it is larger than LOGGED_VALUE_BYTES. */
  readonly value?: Buffer;
}

/**
 * Where entries live. This class is both the contract of every engine and its injection token.
 *
 * Durable: when a write's promise resolves, the write survives what `capabilities.durable` says. No read shows
 * anything that is not yet durable, so what somebody has seen is never undone.
 *
 * Atomic: one operation, and one atomic batch, happens entirely or not at all, and readers see it whole. Conditions
 * are decided inside the write, never before it. Writes are linearizable: a read that starts after a write was
 * answered, by whatever process of the deployment, sees it.
 *
 * Ordered: ranges and scans go by the UTF-8 bytes of the keys.
 *
 * Expiry: from its time on an entry is absent to every read and to every write's condition, whether or not it has
 * been swept; the engine sweeps within a second. The time is the engine's own and never runs backwards, over restarts
 * too. `expires` 0 is never.
 *
 * Tags: every change of value, type or expiry takes a new revision and tag; none is ever used twice, whatever is
 * restarted, restored or copied back.
 *
 * Change log: every put, delete and expiry, however it came about, is in the log in commit order, in the same transaction
 * as the change itself, so that the log is neither behind nor ahead of the entries. It is bounded in changes and bytes. A
 * position is opaque text that says how much of it a reader has seen; one that has fallen out of the log, comes from the
 * future, from another database or from another life of this one (a restored or copied folder) is known as such. A reader
 * that takes its position first, then reads pages, then the log from that position, leaving out the changes that `covers`
 * finds in its page already, misses nothing and sees nothing twice.
 *
 * Empty case: an absent key reads as undefined, a range as no items, a scan as no chunk, a count as 0; deleting an
 * absent key succeeds, changes nothing and takes no revision.
 *
 * Failure: a write that fails with `outcome-unknown` may or may not have happened; after every other failure nothing
 * has happened. `busy` and `unavailable` may be repeated. `disk-full` refuses puts while reads and deletes go on. A
 * record whose checksum does not fit is `corrupt` and is never given out.
 *
 * Callers pass keys of 1 to MAX_KEY_BYTES bytes of well-formed Unicode, types that are valid header text, and buffers
 * they do not change until the promise has settled. Engines check none of it again.
 */
export abstract class StorageEngine {
  abstract readonly capabilities: Capabilities;

  /** Opens the store, making it if there is none. @throws StartError with one line on what is wrong with it. */
  abstract open(): Promise<void>;

  /** Settles the writes under way, then closes. Nothing may be called afterwards; a second call does nothing. */
  abstract close(): Promise<void>;

  /** The engine's time, milliseconds since 1970: what TTLs count from. Never less than an earlier answer. */
  abstract now(): number;

  /** The live entry under `key`. @throws DatabaseError `corrupt` */
  abstract get(key: string): Awaitable<Entry | undefined>;

  /** Does one operation. @throws DatabaseError what `decide` refuses, or what kept the engine from storing. */
  abstract write(operation: Operation): Promise<Outcome>;

  /**
   * Does operations in order, each seeing the effects of those before it.
   *
   * Atomic: all or nothing; the first that is refused is thrown, with its `index`. Otherwise a pipeline: each is one
   * atomic unit, and what is refused stands in its place in the answer. A commit that fails is thrown in both modes.
   *
   * @param maxBytes of all values that are found together; a `get` beyond it is refused with `body-too-large`
   */
  abstract batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]>;

  /** One page of a range. @throws DatabaseError `corrupt` */
  abstract range(query: RangeQuery): Awaitable<RangePage>;

  /**
   * Visits a range in chunks of some hundred entries or KiB, from one snapshot taken when the iteration starts. The
   * consumer sets the pace; memory does not grow with the range. Returning from the iteration gives the snapshot back.
   * An engine bounds how many scans run at once and how long they pin what has been overwritten since: `busy` if there
   * is no place for another, `unavailable` in the middle of one that has to end.
   */
  abstract scan(range: ScanRange): AsyncIterable<readonly Entry[]>;

  /** How many live keys begin with `prefix`. */
  abstract count(prefix: string): Awaitable<number>;

  /** The position of a reader that has seen every change so far. */
  abstract position(): Awaitable<string>;

  /** Changes behind `position`, oldest first, some of them; none if there are none; undefined if it cannot be served. */
  abstract changes(position: string): Awaitable<readonly Change[] | undefined>;

  /** Whether what was read at `position` shows `change` already. */
  abstract covers(position: string, change: Pick<Change, 'position' | 'key' | 'etag'>): boolean;

  /** Whether a reader at `position` has seen all that one at `other` has. */
  abstract includes(position: string, other: string): boolean;

  /** Calls `listener` soon after changes have been committed. Answers how to stop. */
  abstract onChange(listener: () => void): () => void;

  abstract stats(): Awaitable<EngineStats>;

  /** Asked within 2 s, whatever is wrong. */
  abstract state(): Awaitable<EngineState>;

  /** How many other processes of ours have the store open at present. */
  abstract peers(): Awaitable<number>;

  /** Writes a consistent copy to the file `target`, complete and synced when it appears there; mode 0600. */
  abstract backup(target: string): Promise<void>;

  abstract readonly system: SystemKeyspace;
}
