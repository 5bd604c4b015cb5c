/** How an entry is described. Tags stand without quotes, times are RFC 3339. */
export interface Description {
  readonly key: string;
  readonly etag: string;
  /** Media type of the value. */
  readonly type: string;
  /** Bytes of the value. */
  readonly size: number;
  readonly created: string;
  readonly modified: string;
  readonly expires: string | null;
}

/** A value inside JSON: its text where its bytes are UTF-8, or else its bytes in base64. */
export interface InlineValue {
  readonly value?: string;
  readonly base64?: string;
}

export type Item = Description & InlineValue;

export interface Stored extends Description {
  /** Whether there was no entry before. */
  readonly isNew: boolean;
}

/** What can be stored: text, bytes, a stream of bytes, or anything else as JSON. */
export type Value =
  string | Uint8Array<ArrayBuffer> | ArrayBuffer | Blob | ReadableStream | number | boolean | null | object;

export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

export interface Once {
  /** Has the write done once, whoever sends it again with this key. Without, the client makes one for its own repetitions. */
  readonly idempotencyKey?: string | undefined;
}

/** Tags as `etag` gives them, or `*`. */
export interface Conditions extends Abortable, Once {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export interface Expiry {
  /** Seconds, or a duration as `500ms`, `15m`, `7d`; for `put` and `touch` also `none` and `keep`. */
  readonly ttl?: number | string | undefined;
  readonly expires?: Date | string | undefined;
}

export interface ReadOptions extends Omit<Conditions, keyof Once> {
  /** A range of bytes as the header has it: `bytes=0-99`. */
  readonly range?: string | undefined;
  /** Holds the answer for up to so many seconds while it would be nothing new (long-poll). */
  readonly wait?: number | undefined;
}

export interface WriteOptions extends Conditions, Expiry {
  /** Media type of the value. */
  readonly type?: string | undefined;
  /** Only if there is no entry yet. */
  readonly create?: boolean | undefined;
}

/** Which keys: literal `prefix`, from `from` on, before `to`. */
export interface KeyRange {
  readonly prefix?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface ListOptions extends KeyRange, Abortable {
  /** The last key or group of the page before. */
  readonly after?: string | undefined;
  /** Items and groups of a page, at most 1000; 100 by default. */
  readonly limit?: number | undefined;
  readonly delimiter?: string | undefined;
  /** Whether items have their values. */
  readonly values?: boolean | undefined;
  readonly reverse?: boolean | undefined;
}

export interface DeleteOptions extends KeyRange, Abortable {
  /** Counts, and deletes nothing. */
  readonly dryRun?: boolean | undefined;
  /** An empty prefix needs it. */
  readonly all?: boolean | undefined;
}

export interface Page {
  readonly items: readonly Item[];
  /** Groups, where `delimiter` was given. */
  readonly prefixes: readonly string[];
  /** What `after` takes for the next page; null on the last. */
  readonly next: string | null;
  /** The position that the page shows; a watch `since` it misses nothing. Absent on clusters. */
  readonly revision?: string;
}

/** One operation of a batch; docs/http.md has the members that each takes. */
export type BatchOperation = {
  readonly key: string;
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
} & (
  | { readonly op: 'check' | 'get' | 'delete' }
  | ({
      readonly op: 'put';
      readonly value?: unknown;
      readonly base64?: string;
      readonly type?: string;
    } & Expiry)
  | ({ readonly op: 'incr'; readonly by?: number | string } & Expiry)
  | ({ readonly op: 'touch' } & Expiry)
);

export interface BatchResult extends InlineValue {
  /** The status that the single call would have. */
  readonly status: number;
  readonly etag?: string;
  readonly type?: string;
  readonly expires?: string | null;
  readonly problem?: { readonly code: string; readonly detail: string };
}

export interface ImportReport {
  readonly created: number;
  readonly updated: number;
  readonly skipped: number;
  readonly errors: readonly { readonly line: number; readonly detail: string }[];
  readonly errorCount: number;
  /** Whether the closing line of an export was seen. */
  readonly end: boolean;
}

/** The closing line of an export. */
export interface ExportEnd {
  readonly count: number;
  /** Over all bytes before the closing line. */
  readonly sha256: string;
  /** Keys that were left out, where `lenient` was asked for. */
  readonly damaged?: readonly string[];
}

export interface WatchTargets {
  readonly prefix?: string | readonly string[] | undefined;
  readonly key?: string | readonly string[] | undefined;
}

export interface WatchOptions extends Abortable {
  /** `now`, the id of an event, or the revision of a page: goes on there, without what is there already. */
  readonly since?: string | undefined;
  /** Whether the server's signs of life are events, too; their ids keep a stored position fresh. */
  readonly heartbeats?: boolean | undefined;
  /** Told when the connection is lost, with the error if there was one; it is tried again, and `ready` says that it is back. */
  readonly onLost?: ((error?: unknown) => void) | undefined;
}

export type WatchEvent = {
  /** Where `since` goes on. What is there already has none. */
  readonly id?: string | undefined;
} & (
  | ({ readonly kind: 'put'; readonly expires: string | null } & InlineValue &
      Pick<Description, 'key' | 'etag' | 'type' | 'size'>)
  | { readonly kind: 'delete' | 'expire'; readonly key: string; readonly etag: string }
  /** `ready`: what is there has been told. `reset`: forget what was told, it is told anew. */
  | { readonly kind: 'ready' | 'reset' | 'heartbeat' }
);
