import type { EntryHeader } from './entry.js';

/** How far an engine looks back in its log for the newest changes, bytes, about. */
export const LOOK_BACK_BYTES = 2 * 2 ** 20;

/** A change as an overview shows it. */
export interface RecentChange {
  readonly key: string;
  readonly kind: 'put' | 'delete' | 'expire';
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Public id of the token that made it. */
  readonly by?: string | undefined;
  /** For a put: the type of the new entry. */
  readonly type: string | undefined;
  /** For a put: the size of the new value, bytes. */
  readonly size: number | undefined;
}

/** A change of the log, as far as an overview shows it. */
interface LoggedChange extends Omit<RecentChange, 'type' | 'size'> {
  readonly entry?: EntryHeader | undefined;
}

/** Returns what an overview shows of a change, as plain data. */
export function recentChange(change: LoggedChange): RecentChange {
  const { key, kind, etag, time, by, entry } = change;
  return { key, kind, etag, time, by, type: entry?.type, size: entry?.size };
}

/** Returns whether a key begins with `prefix` and goes on. */
export function goesOnAfter(key: string, prefix: string): boolean {
  return key.length > prefix.length && key.startsWith(prefix);
}
