import { DatabaseError, StartError } from '../../errors.js';
import { Clock } from '../clock.js';
import type { Entry, EntryHeader } from '../entry.js';
import type { IdempotencySettings, KeyedAnswer, KeyedWrite } from '../idempotency.js';
import { compareKeys, type KeyRange } from '../key-range.js';
import type { BatchOperation, Operation, Outcome } from '../operation.js';
import type { OpenSettings } from '../open-settings.js';
import type { RecentChange } from '../recent-change.js';
import type { Capabilities } from '../capabilities.js';
import {
  StorageEngine,
  type Change,
  type EngineState,
  type EngineStats,
  type LogPage,
  type RangeCount,
  type RangePage,
  type RangeQuery,
  type ScanRange,
  type WatchTarget,
} from '../storage-engine.js';
import { RedisChangeLog } from './change-log.js';
import { ClusterClient } from './cluster-client/cluster-client.js';
import { otherProcesses } from './cluster-client/node-redis.js';
import type { RedisUrl } from './cluster-client/redis-url.js';
import type { Partition } from './partitions.js';
import { preflight } from './preflight.js';
import { RedisKeyedWrites } from './keyed-writes.js';
import { RedisPast } from './past/past.js';
import { RedisRanges } from './ranges.js';
import { engineState, infoOf } from './server-info.js';
import { RedisStore } from './store.js';
import { RedisWriter } from './writer.js';

/** How often each partition is swept, and in how many groups, so that no request waits for all of them at once. */
const SWEEP_EVERY_MS = 1_000;
const SWEEP_GROUPS = 16;
const SWEEP_AT_ONCE = 100;

export interface RedisSettings extends OpenSettings, IdempotencySettings {
  /** How large the change log of all partitions together may grow, bytes. */
  readonly watchLogBytes: number;
  /** How many replicas must have a write before it is acknowledged. */
  readonly waitReplicas: number;
  /** Called with one line for each thing that is wrong with a server or limits its durability. */
  readonly report: (line: string) => void;
}

/**
 * Entries in a Redis or Valkey server, or in a cluster of them, which any number of Pigeonhole servers share.
 *
 * Every write is one script, which decides and writes where the key lives; a read of a key is one command. The rest of this
 * folder: partitions.ts says how a database lies in Redis, scripts.ts what runs there, cluster-client/ sends commands,
 * writer.ts and ranges.ts write and read, change-log.ts is what watchers read, preflight.ts checks the servers first.
 *
 * An acknowledged write survives what the persistence and the replicas of Redis survive. The time is that of the servers of
 * Redis: scripts read it where they run, so that no clock of a Pigeonhole server can end an entry.
 */
export class RedisEngine extends StorageEngine {
  private client: ClusterClient | undefined;
  private store!: RedisStore;
  private ranges!: RedisRanges;
  private writer!: RedisWriter;
  private keyed!: RedisKeyedWrites;
  private log: RedisChangeLog | undefined;
  past!: RedisPast;
  private clock!: Clock;
  private sweeper: NodeJS.Timeout | undefined;
  private readonly sweeping = new Set<Partition>();
  private closed = false;
  /** Writes under way; one may take several commands. */
  private readonly pending = new Set<Promise<unknown>>();

  constructor(
    private readonly url: RedisUrl,
    private readonly settings: RedisSettings,
    /** Returns milliseconds, from any start. */
    private readonly monotonic = () => performance.now(),
  ) {
    super();
  }

  get capabilities(): Capabilities {
    const partitions = this.store ? this.store.partitions.all.length : this.url.partitions;
    return {
      durable: true,
      orderedTags: false,
      snapshots: false,
      atomicAcrossKeys: false,
      totalOrder: partitions === 1,
      backup: false,
    };
  }

  async open(): Promise<void> {
    const { url, settings, monotonic } = this;
    const onMoved = () => this.log?.onMoved();
    const { waitReplicas, report, watchLogBytes, passesFence } = settings;
    const client = (this.client = new ClusterClient(url, waitReplicas, report, onMoved, monotonic));
    try {
      const { epoch, partitions, hasBegun } = await preflight(client, url, settings);
      this.store = new RedisStore(client, epoch, partitions, watchLogBytes, passesFence);
      if (!hasBegun) await this.store.begin();
      await this.store.onEachPartition((partition) => this.store.sync(partition));
    } catch (error) {
      client.close();
      if (this.closed) throw new StartError('The server was stopped while it started.');
      throw error instanceof StartError ? error : new StartError((error as Error).message);
    }
    let reference = client.topology.medianServer();
    this.clock = new Clock(() => reference?.clock.now() ?? 0, monotonic);
    this.ranges = new RedisRanges(this.store);
    this.writer = new RedisWriter(this.store);
    this.keyed = new RedisKeyedWrites(this.store, this.writer, settings);
    this.log = new RedisChangeLog(this.store);
    this.past = new RedisPast(this.store, this.log);
    const groups = Math.min(SWEEP_GROUPS, this.store.partitions.all.length);
    let turn = 0;
    this.sweeper = setInterval(() => {
      if (turn % groups === 0) reference = client.topology.medianServer() ?? reference;
      this.sweepGroup(turn++ % groups, groups);
    }, SWEEP_EVERY_MS / groups).unref();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.sweeper);
    this.log?.close();
    await Promise.allSettled(this.pending);
    this.client?.close();
  }

  now(): number {
    return this.clock.now();
  }

  get(key: string): Promise<Entry | undefined> {
    return this.ranges.get(key);
  }

  head(key: string): Promise<EntryHeader | undefined> {
    return this.ranges.head(key);
  }

  write(operation: Operation): Promise<Outcome> {
    return this.track(this.writer.apply(operation));
  }

  batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    return this.track(this.writer[atomic ? 'applyAll' : 'applyEach'](operations, maxBytes));
  }

  writeOnce(write: KeyedWrite): Promise<KeyedAnswer> {
    return this.track(this.keyed.write(write));
  }

  recall(write: Pick<KeyedWrite, 'key' | 'operations'>): Promise<KeyedAnswer | undefined> {
    return this.keyed.recall(write);
  }

  range(query: RangeQuery): Promise<RangePage> {
    return this.ranges.readPage(query);
  }

  scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    return this.ranges.scan(range);
  }

  count(range: KeyRange): Promise<RangeCount> {
    return this.ranges.count(range);
  }

  position(): Promise<string> {
    return this.log!.position();
  }

  changes(position: string, targets?: readonly WatchTarget[]): Promise<LogPage | undefined> {
    return this.log!.changes(position, targets);
  }

  newestChanges(limit: number, prefix: string): Promise<RecentChange[]> {
    return this.log!.newest(limit, prefix);
  }

  covers(position: string, change: Pick<Change, 'key' | 'etag'>): boolean {
    return this.log!.covers(position, change);
  }

  includes(position: string, other: string): boolean {
    return this.log!.includes(position, other);
  }

  onChange(listener: () => void): () => void {
    return this.log!.onChange(listener);
  }

  async stats(): Promise<EngineStats> {
    const infos = await this.store.client.onEachPrimary((primary) => infoOf(primary, 'memory'));
    const used = infos.map((info) => Number(info.get('used_memory')));
    const limits = infos.map((info) => Number(info.get('maxmemory')));
    const free = limits.map((limit, i) => (limit === 0 ? Infinity : Math.max(0, limit - used[i]!)));
    // The fullest server is the first to refuse writes, to the keys of its slots.
    const room = Math.min(...free) * free.length;
    const availableBytes = Number.isFinite(room) ? room : undefined;
    const storedBytes = used.reduce((sum, bytes) => sum + bytes, 0);
    const oldestChange = await this.past.oldestChange();
    return { ...(await this.store.sizes()), freeBytes: undefined, oldestChange, storedBytes, availableBytes };
  }

  state(): Promise<EngineState> {
    return engineState(this.store, this.settings.waitReplicas, this.url.cluster);
  }

  async peers(): Promise<number> {
    const lists = await this.store.client.onEachPrimary((primary) =>
      primary.send(['CLIENT', 'LIST', 'TYPE', 'normal']),
    );
    return new Set(lists.flatMap((list) => otherProcesses(String(list), this.url.database))).size;
  }

  fence(): Promise<string | undefined> {
    return this.store.fence();
  }

  setFence(place: string | undefined): Promise<void> {
    return this.track(this.store.setFence(place));
  }

  async backup(): Promise<never> {
    throw new DatabaseError(
      'not-supported',
      'A database in Redis is backed up by Redis itself: copy what BGSAVE writes, or its append-only files, from each ' +
        'primary. An export keeps the entries: `GET /kv?prefix=` with `Accept: application/x-ndjson`.',
    );
  }

  readonly system = {
    get: async (name: string) => {
      const { partition, hash } = this.store.partitions.system;
      const value = (await this.store.read(partition, 'HGET', hash, name)) as Buffer | null;
      if (!value) await this.store.presence.assert(partition);
      return value ?? undefined;
    },
    put: async (name: string, value: Buffer) => {
      await this.track(this.store.writeSystem(name, 'any', value));
    },
    replace: (name: string, expected: Buffer | undefined, value: Buffer | undefined) =>
      this.track(this.store.writeSystem(name, expected ?? 'absent', value)),
    delete: async (name: string) => {
      await this.track(this.store.writeSystem(name, 'any'));
    },
    list: async (prefix: string) => {
      const { partition, hash } = this.store.partitions.system;
      const fields = (await this.store.read(partition, 'HGETALL', hash)) as Buffer[];
      if (fields.length === 0) await this.store.presence.assert(partition);
      const records: { name: string; value: Buffer }[] = [];
      for (let i = 0; i < fields.length; i += 2) {
        const name = fields[i]!.toString('latin1');
        if (name.startsWith(prefix)) records.push({ name, value: fields[i + 1]! });
      }
      return records.toSorted((a, b) => compareKeys(a.name, b.name));
    },
  };

  /** Makes `close` wait for a write. */
  private track<T>(write: Promise<T>): Promise<T> {
    const done = () => this.pending.delete(write);
    this.pending.add(write);
    write.then(done, done);
    return write;
  }

  /** Starts a sweep of each partition of a group, unless its last one is still under way. */
  private sweepGroup(group: number, groups: number): void {
    for (const partition of this.store.partitions.all) {
      if (partition.id % groups !== group || this.sweeping.has(partition)) continue;
      this.sweeping.add(partition);
      const done = () => this.sweeping.delete(partition);
      // The next sweep makes up for one that fails.
      this.sweep(partition).then(done, done);
    }
  }

  /** Removes what has expired, and reads the partition's last tag, because notifications of changes can get lost. */
  private sweep(partition: Partition): Promise<void> {
    const { store, settings } = this;
    return store.lastTags.refresh(partition, async () => {
      if (settings.readOnly) return store.lastTagOf(partition);
      for (;;) {
        const { count, tag } = await store.sweep(partition, SWEEP_AT_ONCE);
        if (count < SWEEP_AT_ONCE || this.closed) return tag;
      }
    });
  }
}
