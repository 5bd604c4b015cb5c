import { DatabaseError } from '../errors.js';
import type { EntryHeader } from './entry.js';
import type { KeyRange } from './key-range.js';

/** What names a moment: a tag or another position in the log, or a time, milliseconds since 1970. */
export type MomentName = { readonly tag: string } | { readonly time: number };

/** A moment in the life of a database, as its engine has found it. */
export interface Moment {
  /** The tag or the position of the last change before it. */
  readonly position: string;
  /** The time, if a time named it: what has expired by then is absent, whether or not the log says so yet. */
  readonly time: number | undefined;
  /** Whether the log has every change that was made since, as far as that can be told without a key. */
  readonly isReached: boolean;
}

/** A change of a key as its history shows it. */
export interface PastChange {
  readonly kind: 'put' | 'delete' | 'expire';
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Public id of the token that made it. */
  readonly by?: string | undefined;
  /** For a put: the new entry. */
  readonly entry?: EntryHeader | undefined;
  /** For a put: the new value, unless it is larger than LOGGED_VALUE_BYTES. */
  readonly value?: Buffer | undefined;
}

/** Which changes of a key a page of its history shows. */
export interface HistoryQuery {
  /** Only changes before the moment of this tag. */
  readonly after?: string | undefined;
  /** Most changes of the page, at least 1. */
  readonly limit: number;
  /** Ends the page once it holds this many bytes of values. */
  readonly maxBytes?: number;
}

/** Changes of one key, newest first. */
export interface HistoryPage {
  readonly changes: readonly PastChange[];
  /** The `after` of the next page; undefined if this is the last. */
  readonly next: string | undefined;
  /** Whether there may have been earlier changes, which the log does not have any more; told on the last page. */
  readonly isCut: boolean;
}

/** A key as it was at a moment. */
export interface Version {
  /** undefined if the key was absent then. */
  readonly entry: EntryHeader | undefined;
  /** undefined if the log does not keep it, because it is larger than LOGGED_VALUE_BYTES. */
  readonly value: Buffer | undefined;
  /** Tags of the versions before and after it. That after it is left out where it would take long to find. */
  readonly predecessor: string | undefined;
  readonly successor: string | undefined;
}

/** Keys of a range, and what has become of them since a moment. */
export interface SinceThen {
  /**
   * Each key that has changed since, with the tag of its entry at the beginning, or none if it was absent then. A key that has
   * no entry at either time may be among them.
   */
  readonly changed: readonly { readonly key: string; readonly etag: string | undefined }[];
  /** How many other entries are the same as they were. */
  readonly unchanged: number;
}

/**
 * What the change log says of earlier states, as far as it reaches back.
 *
 * A state at a tag is what the log says up to that change. A state at a time is the one that a reader saw then: with every
 * change that was made by that time, and without what had expired. What is older than the log is never guessed: it fails with
 * `history-gone`, which says since when there is a history. An entry that has not changed since is known without the log.
 *
 * One key's history costs what it shows, and a version of it what has changed since, not the length of the log. No call holds
 * the event loop for more than some milliseconds.
 *
 * Of an engine without `capabilities.totalOrder` a time and a position name a moment of every key, and a tag one of the keys that have
 * one order of changes with its own. For others it is refused with `not-supported`.
 */
export interface Past {
  /** Finds a moment; undefined if the text is no tag and no position of this engine. */
  find(name: MomentName): Moment | undefined | Promise<Moment | undefined>;

  /** Returns a page of the history of `key`; undefined if `after` is no tag. @throws DatabaseError as `version` does */
  history(key: string, query: HistoryQuery): Promise<HistoryPage | undefined>;

  /** Returns `key` as it was at a moment. @throws DatabaseError `history-gone`, `corrupt`, `not-supported` */
  version(key: string, moment: Moment): Promise<Version>;

  /**
   * Visits the keys of a range as it is when the iteration begins, each once.
   * @throws DatabaseError as `version` does; what `scan` throws
   */
  since(range: KeyRange, moment: Moment): AsyncIterable<SinceThen>;
}

/** Whether an entry had ended at the time that names a moment, if one does. */
export function hadEnded({ expires }: EntryHeader, time: number | undefined): boolean {
  return time !== undefined && expires !== 0 && expires <= time;
}

/** Returns what a read of the past fails with that the log does not reach. @param oldest when its first change was made */
export function historyGone(oldest: number | undefined): DatabaseError {
  if (oldest === undefined)
    return new DatabaseError('history-gone', 'The log of changes does not reach back to that moment.');
  const time = new Date(oldest).toISOString();
  const detail = `The log of changes does not reach back to that moment: it begins at ${time} (WATCH_LOG_BYTES).`;
  return new DatabaseError('history-gone', detail, { oldest: time, setting: 'WATCH_LOG_BYTES' });
}
