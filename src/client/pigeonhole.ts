import { Entry } from './entry.js';
import { PigeonholeError } from './error.js';
import type { Lock, LockOptions } from './lock.js';
import { KEY, makeSend, newKey, type Call, type ClientOptions, type Send } from './transport.js';
import type * as T from './types.js';

export { Entry, PigeonholeError };
export type { Call, ClientOptions, Lock, LockOptions };
export type * from './types.js';

const NDJSON = 'application/x-ndjson';
const JSON_TYPE = 'application/json';
const BYTES = 'application/octet-stream';

/**
 * A client of a Pigeonhole server, on `fetch` alone. What only some need (watches, locks, exports) is loaded when it is first
 * used, so that a page loads little before it can begin. Every method throws PigeonholeError, or what its `signal` is aborted with.
 *
 *   const db = new Pigeonhole('http://127.0.0.1:4000', { token: process.env.PIGEONHOLE_TOKEN });
 *   await db.put('user/1', { name: 'Ada' }, { ttl: '15m' });
 *   const user = await (await db.get('user/1'))?.json();
 */
export class Pigeonhole {
  /** With a slash at its end. */
  readonly url: string;
  readonly #send: Send;

  /** @param url of the server; in a browser it may be relative to the page */
  constructor(url: string, options: ClientOptions = {}) {
    const { location } = globalThis as { location?: { href: string } };
    this.url = new URL(url, location?.href).href.replace(/\/?$/, '/');
    this.#send = makeSend(this.url, options);
  }

  /** Sends any request of docs/http.md with the token, the repetitions and the errors of this client. */
  request(path: string, call?: Call): Promise<Response> {
    return this.#send(path.replace(/^\//, ''), call);
  }

  /** Reads an entry; undefined if there is none. Read its value, or cancel its `body`. */
  async get(key: string, options: T.ReadOptions = {}): Promise<Entry | undefined> {
    const { range, wait } = options;
    const headers = { Range: range, Prefer: wait ? `wait=${wait}` : undefined };
    try {
      return await this.#entry('GET', key, options, (answer) => new Entry(key, answer), { headers });
    } catch (error) {
      if ((error as PigeonholeError).code === 'missing-key') return undefined;
      throw error;
    }
  }

  /** Describes an entry without its value; undefined if there is none. */
  async info(key: string, { signal }: T.Abortable = {}): Promise<T.Description | undefined> {
    const [found] = (await this.list({ prefix: key, limit: 1, signal })).items;
    return found?.key === key ? found : undefined;
  }

  /** Stores a value. Strings are text, objects, numbers, booleans and null JSON. A stream is sent once, and not by browsers. */
  put(key: string, value: T.Value, options: T.WriteOptions = {}): Promise<T.Stored> {
    const [body, usual] = bodyOf(value);
    const headers = { 'Content-Type': options.type || usual };
    const read = async (answer: Response) => ({
      ...(await json<T.Description>(answer)),
      isNew: answer.status === 201,
    });
    return this.#entry('PUT', key, options, read, { body, headers });
  }

  /** Deletes an entry, whether or not there is one. */
  del(key: string, options: T.Conditions = {}): Promise<void> {
    return this.#entry('DELETE', key, options, () => undefined);
  }

  /** Adds to a 64-bit integer, a new one starts at 0, and returns the sum. An expiry counts only for a new one. */
  incr(key: string, by: number | bigint = 1, options: T.Conditions & T.Expiry = {}): Promise<bigint> {
    const read = async (answer: Response) => BigInt(await answer.text());
    return this.#entry('PATCH', key, options, read, { query: { incr: String(by) } });
  }

  /** Changes when an entry expires. */
  touch(key: string, ttl: T.Expiry['ttl'] | Date, options: T.Conditions = {}): Promise<T.Description> {
    const query = ttl instanceof Date ? { expires: ttl } : { ttl };
    return this.#entry('PATCH', key, options, json<T.Description>, { query });
  }

  /** Changes members of a JSON value (merge patch, RFC 7396), and returns the new value. */
  patch<V = unknown>(key: string, change: object, options: T.Conditions = {}): Promise<V> {
    const headers = { 'Content-Type': 'application/merge-patch+json' };
    return this.#entry('PATCH', key, options, json<V>, { headers, body: JSON.stringify(change) });
  }

  /** One page of a range, in the order of the bytes of keys. */
  list({ signal, ...query }: T.ListOptions = {}): Promise<T.Page> {
    return this.#send('kv', { query, signal }, async (answer) => {
      const revision = answer.headers.get('KV-Revision');
      return { ...(await json<T.Page>(answer)), ...(revision && { revision }) };
    });
  }

  /** Every entry of a range, page by page. */
  async *entries(options: Omit<T.ListOptions, 'delimiter'> = {}): AsyncGenerator<T.Item, void, void> {
    let after = options.after;
    do {
      const page = await this.list({ ...options, after });
      yield* page.items;
      after = page.next ?? undefined;
    } while (after !== undefined);
  }

  count({ signal, ...range }: T.KeyRange & T.Abortable = {}): Promise<number> {
    // Not HEAD: what is wrong could not be told.
    const query = { ...range, count: true, limit: 1 };
    const read = async (answer: Response) => {
      await answer.text();
      return +answer.headers.get('KV-Count')!;
    };
    return this.#send('kv', { query, signal }, read);
  }

  /** Deletes a range, and returns how many entries that were. An empty prefix needs `all`. */
  async delRange({ signal, dryRun, all, ...range }: T.DeleteOptions): Promise<number> {
    const query = { ...range, 'dry-run': dryRun, confirm: all ? 'all' : undefined };
    const call = { method: 'DELETE', query, signal };
    return (await this.#send('kv', call, json<{ deleted: number }>)).deleted;
  }

  /** Does many operations, all or nothing; with `atomic: false` each stands for itself. */
  async batch(
    ops: readonly T.BatchOperation[],
    { atomic, signal, idempotencyKey }: T.Abortable & T.Once & { atomic?: boolean | undefined } = {},
  ): Promise<T.BatchResult[]> {
    // On Redis a key is for the keys of one `{tag}`, as all or nothing is; a pipeline is for any.
    const key = idempotencyKey ?? (atomic === false ? undefined : newKey());
    const headers = { 'Content-Type': JSON_TYPE, [KEY]: key };
    const body = JSON.stringify({ atomic, ops });
    const call = { method: 'POST', headers, body, signal };
    return (await this.#send('batch', call, json<{ results: T.BatchResult[] }>)).results;
  }

  /**
   * What is there, and then every change: `put` for each entry, `ready`, and so on live. It goes on over lost connections and
   * restarts of the server without a gap; after a `reset` everything is told anew.
   */
  async *watch(
    targets: T.WatchTargets = { prefix: '' },
    options: T.WatchOptions = {},
  ): AsyncGenerator<T.WatchEvent, void, void> {
    const { watch } = await import('./watch.js');
    yield* watch(this.#send, targets, options);
  }

  /** Writes a range as NDJSON, and returns its closing line. If that does not come, the sink is aborted. */
  async exportTo(
    sink: WritableStream<Uint8Array>,
    { signal, lenient, ...query }: T.KeyRange & T.Abortable & { lenient?: boolean | undefined } = {},
  ): Promise<T.ExportEnd> {
    const { writeExport } = await import('./export.js');
    const headers = { Accept: NDJSON, Prefer: lenient ? 'handling=lenient' : undefined };
    return writeExport(await this.#send('kv', { query, headers, signal }), sink);
  }

  /** Stores the lines of an export. */
  importFrom(
    lines: NonNullable<Call['body']>,
    {
      mode,
      dryRun,
      signal,
    }: T.Abortable & { mode?: 'upsert' | 'create' | undefined; dryRun?: boolean | undefined } = {},
  ): Promise<T.ImportReport> {
    const query = { mode, 'dry-run': dryRun };
    const headers = { 'Content-Type': NDJSON };
    return this.#send('kv', { method: 'POST', query, headers, body: lines, signal }, json<T.ImportReport>);
  }

  /** Waits for a lock, and keeps it until it is released or lost. The entry is `lock/` and its name. */
  async lock(name: string, options: LockOptions = {}): Promise<Lock> {
    const { acquire } = await import('./lock.js');
    return acquire(this, `lock/${name}`, options);
  }

  #entry<R>(
    method: string,
    key: string,
    { ifMatch, ifNoneMatch, create, ttl, expires, signal, idempotencyKey }: T.WriteOptions,
    read: (answer: Response) => R | Promise<R>,
    { query, headers, body }: Call = {},
  ): Promise<R> {
    // Proxies fold and drop such segments of a path, so the key goes into the query.
    const isPath = !/(^|\/)\.{0,2}(\/|$)/.test(key);
    const path = isPath ? `kv/${encodeURIComponent(key).replaceAll('%2F', '/')}` : 'kv';
    const call = {
      method,
      query: { key: isPath ? undefined : key, ttl, expires, ...query },
      headers: {
        'If-Match': quoted(ifMatch),
        'If-None-Match': create ? '*' : quoted(ifNoneMatch),
        [KEY]: idempotencyKey,
        ...headers,
      },
      body,
      signal,
    };
    return this.#send(path, call, read);
  }
}

/** The bytes of a value inside JSON. */
export function bytesOf({ value, base64 }: T.InlineValue): Uint8Array<ArrayBuffer> {
  return base64 === undefined
    ? new TextEncoder().encode(value)
    : Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function json<V>(answer: Response): Promise<V> {
  return answer.json() as Promise<V>;
}

function bodyOf(value: T.Value): [NonNullable<Call['body']>, string] {
  if (typeof value === 'string') return [value, 'text/plain; charset=utf-8'];
  if (ArrayBuffer.isView(value) || [ArrayBuffer, Blob, ReadableStream].some((kind) => value instanceof kind))
    return [value as Blob, (value as Blob).type || BYTES];
  return [JSON.stringify(value), JSON_TYPE];
}

function quoted(tag: string | undefined): string | undefined {
  return tag && (/[*"]/.test(tag) ? tag : `"${tag}"`);
}
