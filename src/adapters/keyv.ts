import { EventEmitter } from 'node:events';
import type { KeyvStoreAdapter, StoredData } from 'keyv';
import {
  bytesOf,
  type BatchOperation,
  type BatchResult,
  type InlineValue,
  type Pigeonhole,
  type PigeonholeError,
} from '../client/pigeonhole.js';
import { clientOf, durationOf, prefixOf, type AdapterOptions } from './options.js';

/** The most that the server takes in one batch. */
const BATCH = 1000;

interface Put {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number;
}

/**
 * Stores for Keyv, and through it for cache-manager: `new Keyv({ store: new KeyvPigeonhole('http://127.0.0.1:4000') })`.
 *
 * The server ends entries by itself, so nothing has to be swept. `clear` deletes the namespace of the Keyv that calls it.
 * Several entries are read or written in one request each thousand, which is not a transaction.
 */
export default class KeyvPigeonhole extends EventEmitter implements KeyvStoreAdapter {
  readonly opts: { readonly url: string; readonly dialect: 'pigeonhole' };
  /** Set by Keyv, which puts it and a colon before keys by itself. */
  namespace?: string;
  private readonly db: Pigeonhole;
  private readonly prefix: string;

  /** @param options `prefix` is `keyv/` by default */
  constructor(server: string | Pigeonhole, options: AdapterOptions = {}) {
    super();
    this.db = clientOf(server, options);
    this.prefix = prefixOf(options, 'keyv/');
    this.opts = { url: this.db.url, dialect: 'pigeonhole' };
  }

  async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
    const entry = await this.db.get(this.prefix + key);
    if (!entry) return undefined;
    return (isJson(entry.type) ? entry.json() : entry.text()) as Promise<StoredData<Value>>;
  }

  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    const results = await this.batch(
      keys.map((key) => ({ op: 'get', key })),
      'missing-key',
    );
    return results.map((result) => (result.problem ? undefined : (valueOf(result) as StoredData<Value>)));
  }

  /** @param ttl in milliseconds */
  async set(key: string, value: unknown, ttl?: number): Promise<void> {
    await this.db.put(this.prefix + key, value as string, { ttl: durationOf(ttl) });
  }

  async setMany(entries: Put[]): Promise<void> {
    await this.batch(
      entries.map(({ key, value, ttl }) => {
        const type = typeof value === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
        return { op: 'put', key, value, type, ttl: durationOf(ttl) };
      }),
    );
  }

  /** Returns whether there was an entry. */
  async delete(key: string): Promise<boolean> {
    try {
      await this.db.del(this.prefix + key, { ifMatch: '*' });
      return true;
    } catch (error) {
      if ((error as PigeonholeError).code === 'precondition-failed') return false;
      throw error;
    }
  }

  /** Returns whether there was an entry for one of the keys. */
  async deleteMany(keys: string[]): Promise<boolean> {
    const results = await this.batch(
      keys.map((key) => ({ op: 'delete', key, ifMatch: '*' })),
      'precondition-failed',
    );
    return results.some(({ problem }) => !problem);
  }

  async has(key: string): Promise<boolean> {
    return (await this.hasMany([key]))[0]!;
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    const results = await this.batch(
      keys.map((key) => ({ op: 'check', key, ifMatch: '*' })),
      'precondition-failed',
    );
    return results.map(({ problem }) => !problem);
  }

  async clear(): Promise<void> {
    await this.db.delRange({ prefix: this.prefixOfNamespace(this.namespace) });
  }

  async *iterator<Value>(namespace?: string): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    const prefix = this.prefixOfNamespace(namespace);
    for await (const item of this.db.entries({ prefix, values: true }))
      yield [item.key.slice(this.prefix.length), valueOf(item) as Awaited<Value>];
  }

  private prefixOfNamespace(namespace: string | undefined): string {
    return this.prefix + (namespace ? `${namespace}:` : '');
  }

  /** @throws Error for what is refused with another code than that of an entry that is not there */
  private async batch(operations: readonly BatchOperation[], absent?: string): Promise<BatchResult[]> {
    const results: BatchResult[] = [];
    for (let start = 0; start < operations.length; start += BATCH) {
      const part = operations.slice(start, start + BATCH);
      const ops = part.map((operation) => ({ ...operation, key: this.prefix + operation.key }));
      results.push(...(await this.db.batch(ops, { atomic: false })));
    }
    const refused = results.find(({ problem }) => problem && problem.code !== absent);
    if (refused) throw new Error(refused.problem!.detail);
    return results;
  }
}

function isJson(type: string): boolean {
  return type.startsWith('application/json');
}

function valueOf(item: InlineValue & { readonly type?: string }): unknown {
  const text = item.value ?? new TextDecoder().decode(bytesOf(item));
  return isJson(item.type ?? '') ? JSON.parse(text) : text;
}
