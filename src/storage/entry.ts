/** An entry without its value. Times are milliseconds since 1970, UTC. */
export interface EntryHeader {
  readonly key: string;
  /** Media type of the value, valid as the text of a header. */
  readonly type: string;
  /** Length of the value, bytes. */
  readonly size: number;
  /**
   * The entry's tag without quotes. Every change of value, type or expiry makes a new one, and no two states of any key
   * ever have the same. Tags of an engine with `capabilities.orderedTags` sort by age.
   */
  readonly etag: string;
  readonly created: number;
  readonly modified: number;
  /** From when on the entry is absent; 0 if it never expires. */
  readonly expires: number;
}

/** A stored entry. The caller owns the bytes of the value: no engine reuses or changes them. */
export interface Entry extends EntryHeader {
  readonly value: Buffer;
}

/** The type of values that are stored as plain text. */
export const TEXT = 'text/plain; charset=utf-8';

/** Length of the longest key, bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Length of the longest namespace, which comes before the keys of those who are kept in it. */
export const MAX_NAMESPACE_BYTES = 256;

/** Length of the longest key as engines get it: with the namespace that it is in. */
export const MAX_STORED_KEY_BYTES = MAX_NAMESPACE_BYTES + MAX_KEY_BYTES;
