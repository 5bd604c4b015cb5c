import type { DatabaseError } from '../errors.js';
import type { BackupCopy, BackupTarget } from './backup-copy.js';
import type { Capabilities } from './capabilities.js';
import type { Entry, EntryHeader } from './entry.js';
import type { KeyedAnswer, KeyedWrite } from './idempotency.js';
import type { KeyRange } from './key-range.js';
import type { BatchOperation, Operation, Outcome } from './operation.js';
import type { Past } from './past.js';
import type { RecentChange } from './recent-change.js';
import type { SystemKeyspace } from './system-keyspace.js';

/** A result that is there at once or later: an embedded engine reads without a promise, a remote one cannot. */
export type Awaitable<T> = T | Promise<T>;

/** Which keys a page shows, in which order. */
export interface RangeQuery extends KeyRange {
  /** Only keys after this one, or before it in a reverse range. The name of a group excludes the whole group. */
  readonly after?: string;
  /** Most items and groups on the page together, at least 1. */
  readonly limit: number;
  /** Folds keys that contain this text after the prefix into one group, whose name ends with the text. */
  readonly delimiter?: string;
  /** Lists the keys in descending order. */
  readonly reverse?: boolean;
  /** Whether items carry their values. */
  readonly values?: boolean;
  /** With `values`: ends the page once it holds this many bytes of values. A page has at least one item in any case. */
  readonly maxBytes?: number;
}

/** One page of a range. It shows each key as it was at one instant. */
export interface RangePage {
  readonly items: readonly (EntryHeader & { readonly value?: Buffer })[];
  /** Names of the groups. */
  readonly groups: readonly string[];
  /** Keys of entries that are left out because their records are damaged; absent if there are none. */
  readonly damaged?: readonly string[];
  /** The `after` of the next page; undefined if this page is the last. */
  readonly next: string | undefined;
  /** The position in the change log whose state the page shows. */
  readonly position: string;
}

/** How many live keys a range has. */
export interface RangeCount {
  readonly keys: number;
  /** The position in the change log whose state was counted. */
  readonly position: string;
}

/** What a scan visits. */
export interface ScanRange extends KeyRange {
  /** Whether entries carry their values. Without, `value` is empty and `size` still the true size. */
  readonly values: boolean;
  /** Receives the keys of damaged records, which are left out. Without it the scan fails at the first. */
  readonly onDamaged?: (key: string) => void;
  /**
   * Receives the position in the change log whose state the scan shows, before its first chunk. Without
   * `capabilities.snapshots` the scan may show later changes too.
   */
  readonly onPosition?: (position: string) => void;
}

/** Figures of a store, for health, metrics and the console. */
export interface EngineStats {
  /** Number of entries, with those that have expired and are not removed yet; of a namespace, of live ones. */
  readonly entries: number;
  /** Size of the store where it lives, bytes; undefined for a namespace, which is a part of it. */
  readonly storedBytes: number | undefined;
  /** Bytes that can be written before the engine refuses puts; undefined if the engine cannot know, and for a namespace. */
  readonly availableBytes: number | undefined;
  /** Bytes inside the store that are free for writes; undefined if the engine has no such thing, and for a namespace. */
  readonly freeBytes: number | undefined;
  /** Size of the change log, bytes; undefined for a namespace. */
  readonly logBytes: number | undefined;
  /**
   * When the oldest change in the log was made, milliseconds since 1970; undefined if there is none or the engine would have
   * to look for it, and for a namespace.
   */
  readonly oldestChange: number | undefined;
}

/** Whether an engine can do its work at present. */
export interface EngineState {
  /** Whether reads and writes of every key can be expected to succeed. */
  readonly ready: boolean;
  /** What is wrong, and what makes this deployment promise less than it could, each in one sentence. */
  readonly notes: readonly string[];
}

/** Size of the largest value that the change log keeps, bytes. */
export const LOGGED_VALUE_BYTES = 64 * 1024;

/** One change of one key, as the change log keeps it. */
export interface Change {
  /** The position of a reader that has seen the log up to this change. */
  readonly position: string;
  readonly kind: 'put' | 'delete' | 'expire';
  readonly key: string;
  /** The tag of the change; for a put, the tag of the new entry. */
  readonly etag: string;
  /** When it was made, milliseconds since 1970: as `now` of the engine told it then, so that it never runs backwards. */
  readonly time: number;
  /** Public id of the token that made it; undefined if there was none, and for an expiry. */
  readonly by?: string;
  /** For a put: the new entry. */
  readonly entry?: EntryHeader;
  /** For a put: the new value, unless it is larger than LOGGED_VALUE_BYTES. */
  readonly value?: Buffer;
}

/** What one read of the change log returns. */
export interface LogPage {
  /** Oldest first. There may be more, which a read after `position` returns; if it is empty there are none. */
  readonly changes: readonly Change[];
  /** The position of a reader that has seen the log up to the last of them. */
  readonly position: string;
}

/** What a reader of the log follows: one key, or every key that begins with a prefix. */
export type WatchTarget = { readonly key: string } | { readonly prefix: string };

/**
 * Stores entries by key. Every engine implements this class, which is its injection token too.
 *
 * Callers pass keys of 1 to MAX_STORED_KEY_BYTES bytes of well-formed Unicode and types that are valid header text. They do not
 * change a buffer that they have passed before the promise settles. Engines check none of this again.
 *
 * Durability: when the promise of a write resolves, the write is as durable as `capabilities.durable` says. A read never
 * shows anything that is not durable yet, so nothing that a reader has seen is undone.
 *
 * Atomicity: an operation, and an atomic batch, happens entirely or not at all, and readers see all of it or nothing.
 * Conditions are decided inside the write. Writes are linearizable: a read that starts after a write was acknowledged
 * sees the write, in whichever process of the deployment either of them runs.
 *
 * Order: ranges and scans list keys in the order of their UTF-8 bytes.
 *
 * Expiry: from the time `expires` on, an entry is absent for every read and for the condition of every write. The engine
 * removes it from the store within about a second. The time is the engine's own and never runs backwards, not even over
 * a restart. An entry with `expires` 0 never expires.
 *
 * Tags: every change of value, type or expiry takes a new revision and with it a new tag. No tag is ever used twice, even
 * after a restart, a restored backup or a data folder that was copied back.
 *
 * Change log: every put, delete and expiry is logged in commit order, in the transaction that makes the change, so the
 * log and the entries always agree, with the time and with who asked for it. The log is bounded in bytes. A position is
 * opaque text that says how much of the log a reader has seen. The engine recognises a position that it cannot serve: one
 * that has left the log, comes from the future, belongs to another database or to another life of this one. A reader takes
 * its position first, then reads pages, then reads the log from that position and leaves out each change that the position
 * of its page `covers`. Such a reader misses nothing and sees nothing twice.
 *
 * Empty case: an absent key reads as undefined, an empty range has no items, an empty scan no chunks, and an empty count
 * is 0. Deleting an absent key succeeds, changes nothing and takes no revision.
 *
 * Event loop: no call holds it for more than some milliseconds, however many keys it has to pass. A page, a count and a
 * scan go on in the snapshot in which they have begun, after other work of the process has had its turn, and so do sweeps
 * between commits. The memory engine, which is for trying things out, keeps this only for scans.
 *
 * Fence: a database that has moved has a fence, which every process respects that has the store open, or opens it later,
 * even one that was stopped meanwhile: whatever would change the store fails with `moved`, decided where and when it would be
 * applied. Nothing is swept, and reads go on.
 *
 * Failure: a write that fails with `outcome-unknown` may or may not have been applied; after any other error nothing was
 * applied. Callers may repeat what fails with `busy` or `unavailable`. With `disk-full` the engine refuses puts and goes
 * on with reads and deletes. A record that fails its checksum is `corrupt` and is never returned; pages leave it out and
 * name it. Damage fails what needs the damaged bytes, and nothing else.
 */
export abstract class StorageEngine {
  abstract readonly capabilities: Capabilities;

  /** Opens the store and creates it if there is none. @throws StartError with one line about what is wrong */
  abstract open(): Promise<void>;

  /** Finishes the writes under way, then closes the store. Closing it again does nothing; nothing else may be called. */
  abstract close(): Promise<void>;

  /** Returns the engine's time, milliseconds since 1970. It never runs backwards. */
  abstract now(): number;

  /** Returns the live entry under `key`. @throws DatabaseError `corrupt` */
  abstract get(key: string): Awaitable<Entry | undefined>;

  /** Returns the live entry under `key` without its value, which is not copied. @throws DatabaseError `corrupt` */
  abstract head(key: string): Awaitable<EntryHeader | undefined>;

  /** Applies one operation. @throws DatabaseError if `decide` refuses it or the engine cannot store it */
  abstract write(operation: Operation): Promise<Outcome>;

  /**
   * Applies operations in order; each sees the effects of those before it.
   *
   * An atomic batch is applied entirely or not at all. In a pipeline, which is not atomic, each operation stands for
   * itself, and the error of a refused one takes the place of its outcome; so does `unavailable` or `outcome-unknown` where
   * only a part of the storage cannot be reached.
   *
   * @param maxBytes of all values that the batch reads; a `get` that exceeds it is refused with `body-too-large`
   * @throws DatabaseError the first refusal of an atomic batch, with its `index`; in both modes, a commit that failed
   */
  abstract batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]>;

  /**
   * Does a write once, however often it is asked for under its key: what it came to is stored with what it does, in one
   * step, and returned the next time instead of doing it again. So it is as durable as the write, and of tries at the same
   * time, in whichever processes, one does it and the others get what that came to.
   *
   * Remembered is what the write decides: success, `missing-key`, `precondition-failed`, `not-an-integer`,
   * `integer-overflow`, and of a pipeline whatever each operation came to. After any other error nothing is done or remembered.
   *
   * @throws DatabaseError `idempotency-mismatch` if the key was given to another write; `body-too-large` if the answer may be
   *   too large to be remembered; as `write` and `batch` for what is not remembered
   */
  abstract writeOnce(write: KeyedWrite): Promise<KeyedAnswer>;

  /**
   * Returns what a keyed write came to if it has been done. Without operations it says no more than that.
   * @throws DatabaseError `idempotency-mismatch`
   */
  abstract recall(write: Pick<KeyedWrite, 'key' | 'operations'>): Awaitable<KeyedAnswer | undefined>;

  /** Returns one page of a range. @throws DatabaseError `corrupt` if the keys themselves cannot be read */
  abstract range(query: RangeQuery): Awaitable<RangePage>;

  /**
   * Visits a range in chunks of some hundred entries or KiB, from one snapshot that is taken when the iteration starts.
   *
   * The consumer sets the pace, and memory does not grow with the range. Ending the iteration early releases the
   * snapshot. An engine limits how many scans run at once and for how long a scan may hold its snapshot.
   *
   * @throws DatabaseError `busy` if too many scans run; `unavailable` if the scan held its snapshot too long; `corrupt`
   */
  abstract scan(range: ScanRange): AsyncIterable<readonly Entry[]>;

  /** Counts the live keys of `range`. */
  abstract count(range: KeyRange): Awaitable<RangeCount>;

  /** Returns the position of a reader that has seen every change so far. */
  abstract position(): Awaitable<string>;

  /**
   * Returns changes after `position`; undefined if the log does not reach back so far.
   *
   * @param targets that the reader follows: changes of other keys may be left out, and then count as seen. Whoever follows
   *   other targets later takes a new position for them. It is cheaper to pass the same array each time.
   */
  abstract changes(position: string, targets?: readonly WatchTarget[]): Awaitable<LogPage | undefined>;

  /**
   * Returns the newest changes of keys that begin with `prefix` and go on after it, newest first: of each key in the order of
   * the commits, of different keys by time where there is no order of all. It looks through the last few MiB of the log
   * at most, so that there may be fewer than `limit`.
   */
  abstract newestChanges(limit: number, prefix: string): Awaitable<readonly RecentChange[]>;

  /** Returns whether what was read at `position` shows `change` already. */
  abstract covers(position: string, change: Pick<Change, 'position' | 'key' | 'etag'>): boolean;

  /** Returns whether a reader at `position` has seen everything that a reader at `other` has. */
  abstract includes(position: string, other: string): boolean;

  /** Calls `listener` soon after changes are committed. Returns a function that removes the listener. */
  abstract onChange(listener: () => void): () => void;

  /** Returns figures that the store keeps anyway: it counts no entries, except for a namespace. */
  abstract stats(): Awaitable<EngineStats>;

  /** Returns the state within 2 s, whatever is wrong. */
  abstract state(): Awaitable<EngineState>;

  /** Returns how many other Pigeonhole processes have the store open. */
  abstract peers(): Awaitable<number>;

  /** Returns where the database has moved, if it has a fence. */
  abstract fence(): Awaitable<string | undefined>;

  /**
   * Sets the fence, or lifts it without a `place`. When that resolves every write has been applied or will be refused. If it
   * fails, parts of the store may have the fence: repeat it, or lift it.
   *
   * @param place of the new database, as users may see it
   */
  abstract setFence(place: string | undefined): Promise<void>;

  /**
   * Makes a copy of one instant, with the private records, and reads it again: when this resolves the copy is sound and on
   * the disk. One is made at a time, by all processes together, and until it is released no other one.
   *
   * @param target without which the copy is in a file that nobody else sees, and that is gone when it is released
   * @param signal ends it
   * @throws DatabaseError `busy` if there is another; `disk-full` if there is no room for it; `corrupt`; `unavailable`
   */
  abstract backup(target?: BackupTarget, signal?: AbortSignal): Promise<BackupCopy>;

  abstract readonly system: SystemKeyspace;

  abstract readonly past: Past;
}
