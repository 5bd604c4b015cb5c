import { afterEach } from '@jest/globals';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { createEngine } from '../../../src/storage/engine-factory.js';
import { TEXT, type Entry } from '../../../src/storage/entry.js';
import type { OpenSettings } from '../../../src/storage/open-settings.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { ask } from '../../support/http.js';
import { pathOf } from '../../support/kv.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

export const FOLLOWING = 'Stop the old server to switch.';
export const STOPPED = 'The old server has stopped';
export const VERIFIED = /^Verified: (\d+) entries on both sides, 0 differences, sha256 [0-9a-f]{64}\.$/m;

/** What a migration keeps of an entry. */
export interface Kept {
  readonly key: string;
  readonly type: string;
  readonly expires: number;
  readonly value: Buffer;
}

const SETTINGS = {
  maxSnapshotAge: 600_000,
  watchLogBytes: 2 ** 26,
  waitReplicas: 0,
  onFailure: (error: Error) => {
    throw error;
  },
  report: () => undefined,
};

/** Opens a database in this process while `work` runs: meanwhile it counts as one that has the database open. */
export async function within<T>(
  url: string,
  work: (engine: StorageEngine) => Promise<T>,
  access: OpenSettings = {},
): Promise<T> {
  const engine = await createEngine(url, { ...SETTINGS, ...access });
  await engine.open();
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

export function fill(url: string, entries: readonly Kept[]): Promise<void> {
  return within(url, async (engine) => {
    for (let i = 0; i < entries.length; i += 500) {
      const some = entries.slice(i, i + 500);
      await engine.batch(
        some.map(({ expires, ...rest }) => ({
          op: 'put',
          ...rest,
          expiry: expires === 0 ? 'never' : { at: expires },
        })),
        false,
      );
    }
  });
}

/** All live entries, in key order. */
export function contentOf(url: string): Promise<Kept[]> {
  return within(url, async (engine) => {
    const found: Kept[] = [];
    for await (const chunk of engine.scan({ prefix: '', values: true })) found.push(...chunk.map(keptOf));
    return found;
  });
}

function keptOf({ key, type, expires, value }: Entry): Kept {
  return { key, type, expires, value: Buffer.from(value) };
}

/** One line for each entry, in key order; short even for a large value, so that comparing is fast. */
export function linesOf(entries: readonly Kept[]): string[] {
  return entries
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .map(({ key, type, expires, value }) => {
      const shown =
        value.length < 100 ? value.toString('latin1') : createHash('sha256').update(value).digest('hex');
      return JSON.stringify([key, type, expires, value.length, shown]);
    });
}

export function textEntries(count: number, bytes = 20): Kept[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `key/${String(i).padStart(7, '0')}`,
    type: TEXT,
    expires: 0,
    value: Buffer.from(`${i} `.padEnd(bytes, 'v')),
  }));
}

/** Every kind of key, value, type and expiry. None expires within a minute. */
export function oneOfEachKind(): Kept[] {
  const odd = 'a| |\0|\n|.|..|/|a/b/|%2F|__proto__|{tag}a|{tag}b|{|}|{}|a[b]|migration|pigeonhole'.split('|');
  const wide = ['é', '\uffff', '😀', '\ue000', '\u{10ffff}', 'k'.repeat(1024), 'é'.repeat(512)];
  const keys = [...odd, ...wide];
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const values = [
    Buffer.alloc(0),
    everyByte,
    Buffer.from('\r\n'),
    ...[64 * 1024, 64 * 1024 + 1, 3 * 2 ** 20].map((size) => Buffer.alloc(size, everyByte)),
  ];
  const types = [
    TEXT,
    'application/json',
    'application/octet-stream',
    'image/png',
    'x/y; a="b c"; d=é',
    'a/b',
  ];
  const hour = 3_600_000;
  const expiries = [1, Date.now() + hour, Date.now() + 123 * 24 * hour + 7, Date.UTC(2120, 0, 1)].map(
    (at, i) => (i === 0 ? 0 : at),
  );
  const plain = { type: TEXT, expires: 0, value: Buffer.from('value') };
  return [
    ...keys.map((key) => ({ ...plain, key })),
    ...values.map((value, i) => ({ ...plain, key: `value/${i}`, value })),
    ...types.map((type, i) => ({ ...plain, key: `type/${i}`, type })),
    ...expiries.map((expires, i) => ({ ...plain, key: `expires/${i}`, expires })),
  ].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

const loads: Load[] = [];
afterEach(() => Promise.all(loads.splice(0).map((load) => load.stop().catch(() => undefined))));

/** Four writers, each with keys of its own, until `stop`; `state` is what the database then holds, key → value. */
export class Load {
  readonly state = new Map<string, string>();
  /** Keys with a write that has no answer. */
  readonly pending = new Set<string>();
  writes = 0;
  private stopped = false;
  private readonly done: Promise<unknown>;
  private readonly agent = new http.Agent({ keepAlive: true });

  constructor(port: number) {
    loads.push(this);
    this.done = Promise.all(Array.from({ length: 4 }, (_, lane) => this.run(port, lane)));
    this.done.catch(() => undefined); // `stop` throws it
  }

  /** @throws if the server went away before */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.done.finally(() => this.agent.destroy());
  }

  private async run(port: number, lane: number): Promise<void> {
    const { agent } = this;
    for (let i = 0; !this.stopped; i++) {
      const key = `load/${lane}/${i % 50}`;
      this.pending.add(key);
      if (i % 7 === 3) {
        await ask(port, pathOf(key), { method: 'DELETE', agent });
        this.state.delete(key);
      } else if (i % 7 === 5) {
        // Whether it is deleted or expires first, nothing is left.
        await ask(port, `${pathOf(key)}?ttl=1s`, { method: 'PUT', body: 'short', agent });
        await ask(port, pathOf(key), { method: 'DELETE', agent });
        this.state.delete(key);
      } else {
        await ask(port, pathOf(key), { method: 'PUT', body: `${i}`, agent });
        this.state.set(key, `${i}`);
      }
      this.pending.delete(key);
      this.writes++;
    }
  }

  entries(): Kept[] {
    return [...this.state].map(([key, value]) => ({
      key,
      type: TEXT,
      expires: 0,
      value: Buffer.from(value),
    }));
  }
}

export function newLmdb(): string {
  return `lmdb:${temporaryFolder()}`;
}
