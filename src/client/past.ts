import { Entry } from './entry.js';
import { PigeonholeError } from './error.js';
import type { Call } from './transport.js';
import type { Abortable, Conditions, Expiry, InlineValue, KeyRange, Stored } from './types.js';

/*
 * The past of entries, for whoever needs it: a second entrance of the package (`pigeonhole/past`), so that a page that only
 * reads and writes does not load it. Its functions take the client that asks.
 */

/** What of a client these functions use. */
interface Client {
  request(path: string, call?: Call): Promise<Response>;
}

/** One change of an entry. */
export interface Version extends InlineValue {
  readonly etag: string;
  readonly kind: 'put' | 'delete' | 'expire';
  /** When it happened, RFC 3339. */
  readonly time: string;
  /** The id of the token that made it; null where tokens are not needed, or where it is not to be seen. */
  readonly by: string | null;
  /** Media type and bytes of what was stored; null where the entry ended. */
  readonly type: string | null;
  readonly size: number | null;
}

export interface HistoryOptions extends Abortable {
  /** The tag of the last version of the page before. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
  /** Whether versions have their values, which is the default. */
  readonly values?: boolean | undefined;
}

export interface History {
  /** The newest first. */
  readonly items: readonly Version[];
  /** What `after` takes for the next page; null where nothing older is kept. */
  readonly next: string | null;
  /** Whether there were older changes that are not kept any more; told on the last page. */
  readonly cut?: boolean;
}

export interface RestoreOptions extends KeyRange, Abortable {
  /** The moment: a time, or a tag. */
  readonly at: Date | string;
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** An empty prefix needs it. */
  readonly all?: boolean | undefined;
}

export interface RestoreReport {
  /** Entries that have the value of that moment again, those that did not exist then and are deleted, and the rest. */
  readonly restored: number;
  readonly deleted: number;
  readonly unchanged: number;
  /** The first of those that could not be put back, and how many they are in all. */
  readonly errors: readonly { readonly key: string; readonly code: string; readonly detail: string }[];
  readonly errorCount: number;
}

/** One page of the changes of an entry. */
export async function history(
  db: Client,
  key: string,
  { signal, ...page }: HistoryOptions = {},
): Promise<History> {
  const answer = await db.request('kv', { query: { key, history: true, ...page }, signal });
  return answer.json() as Promise<History>;
}

/** Reads an entry as it was at a time or with a tag; undefined if there was none then. */
export async function getAt(
  db: Client,
  key: string,
  at: Date | string,
  { signal }: Abortable = {},
): Promise<Entry | undefined> {
  return versionAt(db, 'GET', key, at, signal);
}

/** Stores the value and the type of a version again. Without `ttl` or `expires` it does not end, as with every write. */
export async function putBack(
  db: Client,
  key: string,
  etag: string,
  { ifMatch, ifNoneMatch, signal, ...expiry }: Conditions & Expiry = {},
): Promise<Stored> {
  const headers = { 'If-Match': quoted(ifMatch), 'If-None-Match': quoted(ifNoneMatch) };
  const query = { key, from: etag, ...expiry };
  const answer = await db.request('kv', { method: 'PUT', query, headers, signal });
  return { ...((await answer.json()) as Stored), isNew: answer.status === 201 };
}

/**
 * Takes back the newest change of an entry: what was before it is stored again, or the entry that it made deleted. That is a
 * change of its own, so that a second time takes back the first. Returns what was before, undefined if there was no entry.
 * @param options `etag`: only if the change with this tag is the newest
 */
export async function undo(
  db: Client,
  key: string,
  { etag, signal }: Abortable & { etag?: string | undefined } = {},
): Promise<Version | undefined> {
  const { items, cut } = await history(db, key, { limit: 2, values: false, signal });
  const [last, before] = items;
  if (!last && !cut) throw new PigeonholeError('missing-key', 404, `Nothing was ever stored under ${key}.`);
  if (!last || (!before && (cut || last.kind !== 'put')))
    throw new PigeonholeError('history-gone', 410, `What ${key} held before is not kept any more.`);
  if (etag !== undefined && etag !== last.etag)
    throw new PigeonholeError('precondition-failed', 412, `${key} was changed once more since.`, {
      etag: last.etag,
    });
  if (before?.kind === 'put') {
    const condition = last.kind === 'put' ? { ifMatch: last.etag } : { ifNoneMatch: '*' };
    const expires = (await versionAt(db, 'HEAD', key, before.etag, signal))?.expires;
    const hasEnd = expires && expires.getTime() > Date.now();
    await putBack(db, key, before.etag, { ...condition, ...(hasEnd && { expires }), signal });
    return before;
  }
  const headers = { 'If-Match': quoted(last.etag) };
  await db.request('kv', { method: 'DELETE', query: { key }, headers, signal });
  return undefined;
}

/** Puts a range back to what it was, one change for each entry that differs. */
export async function restore(
  db: Client,
  { at, dryRun, all, signal, ...range }: RestoreOptions,
): Promise<RestoreReport> {
  const query = { ...range, at, 'dry-run': dryRun, confirm: all ? 'all' : undefined };
  const answer = await db.request('kv', { method: 'PATCH', query, signal });
  return answer.json() as Promise<RestoreReport>;
}

async function versionAt(
  db: Client,
  method: string,
  key: string,
  at: Date | string,
  signal?: AbortSignal,
): Promise<Entry | undefined> {
  try {
    return new Entry(key, await db.request('kv', { method, query: { key, at }, signal }));
  } catch (error) {
    if ((error as PigeonholeError).status === 404) return undefined;
    throw error;
  }
}

function quoted(tag: string | undefined): string | undefined {
  return tag && (tag === '*' ? tag : `"${tag.replaceAll('"', '')}"`);
}
