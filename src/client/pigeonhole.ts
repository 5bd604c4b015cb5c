import { Entry } from './entry.js';
import { PigeonholeError } from './error.js';
import { writeExport } from './export.js';
import { acquire, type Lock, type LockOptions } from './lock.js';
import { makeSend, type Call, type ClientOptions, type QueryValue, type Send } from './transport.js';
import type * as T from './types.js';
import { watch } from './watch.js';

export { Entry, PigeonholeError };
export type { Call, ClientOptions, Lock, LockOptions };
export type * from './types.js';

const NDJSON = 'application/x-ndjson';
const TEXT = 'text/plain; charset=utf-8';

/**
 * A client of a Pigeonhole server, on `fetch` alone. Every method throws PigeonholeError, or what its `signal` is aborted with.
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
    const { range, wait, signal } = options;
    const headers = {
      ...conditions(options),
      Range: range,
      Prefer: wait && `wait=${wait}`,
    } as Call['headers'];
    try {
      return new Entry(key, await this.#entry(key, 'GET', {}, { headers, signal }));
    } catch (error) {
      if ((error as PigeonholeError).code === 'missing-key') return undefined;
      throw error;
    }
  }

  /** Describes an entry without its value; undefined if there is none. */
  async info(key: string, { signal }: T.Abortable = {}): Promise<T.Description | undefined> {
    const { items } = await this.list({ prefix: key, limit: 1, signal });
    return items[0]?.key === key ? items[0] : undefined;
  }

  /** Stores a value. Strings are text, objects, numbers, booleans and null JSON. A stream is sent once, and not by browsers. */
  async put(key: string, value: T.Value, options: T.WriteOptions = {}): Promise<T.Stored> {
    const [body, usual] = bodyOf(value);
    const headers = { ...conditions(options), 'Content-Type': options.type || usual };
    const response = await this.#entry(key, 'PUT', expiry(options), {
      body,
      headers,
      signal: options.signal,
    });
    return { ...((await response.json()) as T.Description), isNew: response.status === 201 };
  }

  /** Deletes an entry, whether or not there is one. */
  async del(key: string, options: T.Conditions = {}): Promise<void> {
    await this.#entry(key, 'DELETE', {}, { headers: conditions(options), signal: options.signal });
  }

  /** Adds to a 64-bit integer, a new one starts at 0, and returns the sum. An expiry counts only for a new one. */
  async incr(key: string, by: number | bigint = 1, options: T.Conditions & T.Expiry = {}): Promise<bigint> {
    const query = { incr: String(by), ...expiry(options) };
    return BigInt(await this.#patch(key, query, options).then((response) => response.text()));
  }

  /** Changes when an entry expires. */
  async touch(key: string, ttl: T.Expiry['ttl'] | Date, options: T.Conditions = {}): Promise<T.Description> {
    const query = ttl instanceof Date ? { expires: ttl } : { ttl };
    return (await this.#patch(key, query, options)).json() as Promise<T.Description>;
  }

  /** Changes members of a JSON value (merge patch, RFC 7396), and returns the new value. */
  async patch<V = unknown>(key: string, change: object, options: T.Conditions = {}): Promise<V> {
    const type = { 'Content-Type': 'application/merge-patch+json' };
    return (await this.#patch(key, {}, options, type, JSON.stringify(change))).json() as Promise<V>;
  }

  /** One page of a range, in the order of the bytes of keys. */
  async list({ signal, ...query }: T.ListOptions = {}): Promise<T.Page> {
    const response = await this.#send('kv', { query, signal });
    const revision = response.headers.get('KV-Revision');
    return { ...((await response.json()) as T.Page), ...(revision && { revision }) };
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

  async count({ signal, ...query }: T.KeyRange & T.Abortable = {}): Promise<number> {
    const { headers } = await this.#send('kv', { method: 'HEAD', query, signal });
    return Number(headers.get('KV-Count'));
  }

  /** Deletes a range, and returns how many entries that were. An empty prefix needs `all`. */
  async delRange(
    range: T.KeyRange & T.Abortable & { dryRun?: boolean | undefined; all?: boolean | undefined },
  ): Promise<number> {
    const { signal, dryRun, all, ...keys } = range;
    const query = { ...keys, 'dry-run': dryRun, confirm: all ? 'all' : undefined };
    const response = await this.#send('kv', { method: 'DELETE', query, signal });
    return ((await response.json()) as { deleted: number }).deleted;
  }

  /** Does many operations, all or nothing; with `atomic: false` each stands for itself. */
  async batch(
    ops: readonly T.BatchOperation[],
    { atomic, signal }: T.Abortable & { atomic?: boolean | undefined } = {},
  ): Promise<T.BatchResult[]> {
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ atomic, ops });
    const response = await this.#send('batch', { method: 'POST', headers, body, signal });
    return ((await response.json()) as { results: T.BatchResult[] }).results;
  }

  /**
   * What is there, and then every change: `put` for each entry, `ready`, and so on live. It goes on over lost connections and
   * restarts of the server without a gap; after a `reset` everything is told anew.
   */
  watch(targets: T.WatchTargets = { prefix: '' }, options: T.WatchOptions = {}) {
    return watch(this.#send, targets, options);
  }

  /** Writes a range as NDJSON, and returns its closing line. If that does not come, the sink is aborted. */
  async exportTo(
    sink: WritableStream<Uint8Array>,
    { signal, lenient, ...query }: T.KeyRange & T.Abortable & { lenient?: boolean | undefined } = {},
  ): Promise<T.ExportEnd> {
    const headers = { Accept: NDJSON, Prefer: lenient ? 'handling=lenient' : undefined };
    return writeExport(await this.#send('kv', { query, headers, signal }), sink);
  }

  /** Stores the lines of an export. */
  async importFrom(
    lines: NonNullable<Call['body']>,
    options: T.Abortable & { mode?: 'upsert' | 'create' | undefined; dryRun?: boolean | undefined } = {},
  ): Promise<T.ImportReport> {
    const query = { mode: options.mode, 'dry-run': options.dryRun };
    const headers = { 'Content-Type': NDJSON };
    const call = { method: 'POST', query, headers, body: lines, signal: options.signal };
    return (await this.#send('kv', call)).json() as Promise<T.ImportReport>;
  }

  /** Waits for a lock, and keeps it until it is released or lost. The entry is `lock/` and its name. */
  lock(name: string, options: LockOptions = {}): Promise<Lock> {
    return acquire(this, `lock/${name}`, options);
  }

  #entry(key: string, method: string, query: Record<string, QueryValue>, call: Call): Promise<Response> {
    // Proxies fold and drop such segments of a path, so the key goes into the query.
    const isPath = !/(^|\/)\.{0,2}(\/|$)/.test(key);
    const path = isPath ? `kv/${key.split('/').map(encodeURIComponent).join('/')}` : 'kv';
    return this.#send(path, { ...call, method, query: isPath ? query : { key, ...query } });
  }

  #patch(
    key: string,
    query: Record<string, QueryValue>,
    options: T.Conditions,
    headers = {},
    body?: string,
  ): Promise<Response> {
    const call = { headers: { ...conditions(options), ...headers }, body, signal: options.signal };
    return this.#entry(key, 'PATCH', query, call);
  }
}

/** The bytes of a value inside JSON. */
export function bytesOf({ value, base64 }: T.InlineValue): Uint8Array<ArrayBuffer> {
  return base64 === undefined
    ? new TextEncoder().encode(value)
    : Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function bodyOf(value: T.Value): [NonNullable<Call['body']>, string] {
  if (typeof value === 'string') return [value, TEXT];
  if (value instanceof Blob) return [value, value.type || 'application/octet-stream'];
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof ReadableStream)
    return [value as Uint8Array<ArrayBuffer>, 'application/octet-stream'];
  return [JSON.stringify(value), 'application/json'];
}

function conditions({ ifMatch, ifNoneMatch, create }: T.WriteOptions): Record<string, string | undefined> {
  return { 'If-Match': quoted(ifMatch), 'If-None-Match': create ? '*' : quoted(ifNoneMatch) };
}

function quoted(tag: string | undefined): string | undefined {
  return tag === undefined || /^\*$|"/.test(tag) ? tag : `"${tag}"`;
}

function expiry({ ttl, expires }: T.Expiry): Record<string, QueryValue> {
  return { ttl, expires };
}
