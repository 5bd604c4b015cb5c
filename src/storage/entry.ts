/** What an engine tells of an entry without its value. Times are milliseconds since 1970, UTC. */
export interface EntryHeader {
  readonly key: string;
  /** The media type the value was stored with, ready to be sent as a header. */
  readonly type: string;
  /** Length of the value, bytes. */
  readonly size: number;
  /**
   * The entry's tag without quotes, `<epoch>-<revision>`. A new one at every change of value, type or expiry; no
   * two states of any key ever share one. Tags of an engine with `capabilities.orderedTags` sort by age.
   */
  readonly etag: string;
  readonly created: number;
  readonly modified: number;
  /** When the entry stops existing; 0 if it does not. */
  readonly expires: number;
}

/** A stored entry. The value's bytes belong to the caller: no engine reuses or changes them. */
export interface Entry extends EntryHeader {
  readonly value: Buffer;
}

/** The type of values stored as plain text. */
export const TEXT = 'text/plain; charset=utf-8';

/** Longest key, in bytes of UTF-8. The shortest is 1. */
export const MAX_KEY_BYTES = 1024;
