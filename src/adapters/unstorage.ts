import type { Driver, TransactionOptions } from 'unstorage';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { clientOf, durationOf, prefixOf, type AdapterOptions } from './options.js';

export interface DriverOptions extends AdapterOptions {
  /** Seconds after which items end for which `setItem` is given no `ttl`; 0 for never. */
  readonly ttl?: number | undefined;
}

/**
 * A driver for unstorage: `createStorage({ driver: pigeonholeDriver('http://127.0.0.1:4000') })`.
 *
 * The key of an item is `prefix`, which is `storage:` by default, and its name with colons. `getMeta` tells type, size, tag
 * and times. Bytes that `setItemRaw` is given are kept as they are, and `getItemRaw` returns them as a Uint8Array.
 */
export default function pigeonholeDriver(
  server: string | Pigeonhole,
  options: DriverOptions = {},
): Driver<DriverOptions, Pigeonhole> {
  const db = clientOf(server, options);
  const prefix = prefixOf(options, 'storage:');
  const watches = new Set<AbortController>();

  const put = async (key: string, value: string, given?: TransactionOptions) => {
    const ttl = (given?.['ttl'] as number | undefined) ?? options.ttl;
    await db.put(prefix + key, value, { ttl: durationOf(ttl && ttl * 1000) });
  };

  return {
    name: 'pigeonhole',
    options,
    getInstance: () => db,
    hasItem: async (key) => (await db.info(prefix + key)) !== undefined,
    getItem: async (key) => (await (await db.get(prefix + key))?.text()) ?? null,
    getItemRaw: async (key) => (await (await db.get(prefix + key))?.bytes()) ?? null,
    setItem: put,
    setItemRaw: (key, value, given) => put(key, value as string, given),
    removeItem: (key) => db.del(prefix + key),
    async getMeta(key) {
      const entry = await db.info(prefix + key);
      if (!entry) return null;
      const { etag, type, size, created, modified, expires } = entry;
      const ttl = expires ? (Date.parse(expires) - Date.now()) / 1000 : undefined;
      return { etag, type, size, ttl, birthtime: new Date(created), mtime: new Date(modified) };
    },
    async getKeys(base = '') {
      const keys = [];
      for await (const { key } of db.entries({ prefix: prefix + base, limit: 1000 }))
        keys.push(key.slice(prefix.length));
      return keys;
    },
    async clear(base = '') {
      await db.delRange({ prefix: prefix + base });
    },
    dispose() {
      for (const watch of watches) watch.abort();
    },
    watch(callback) {
      const end = new AbortController();
      watches.add(end);
      const events = db.watch({ prefix }, { since: 'now', signal: end.signal });
      void (async () => {
        for await (const event of events) {
          if (!('key' in event)) continue;
          callback(event.kind === 'put' ? 'update' : 'remove', event.key.slice(prefix.length));
        }
      })().catch((error: unknown) => {
        if (!end.signal.aborted) console.error('Pigeonhole is watched no longer:', error);
      });
      return () => {
        watches.delete(end);
        end.abort();
      };
    },
  };
}
