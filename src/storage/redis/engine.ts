import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError, MissingKeyError, StartError } from '../../errors.js';
import { Clock } from '../clock.js';
import type { Entry } from '../entry.js';
import { compareKeys } from '../key-range.js';
import { assertHolds, type BatchOperation, type Operation, type Outcome } from '../operation.js';
import {
  StorageEngine,
  type Capabilities,
  type Change,
  type EngineState,
  type EngineStats,
  type OpenSettings,
  type RangePage,
  type RangeQuery,
  type ScanRange,
} from '../storage-engine.js';
import { RedisChangeLog } from './change-log.js';
import { CLIENT_NAME, OWN_NAME } from './cluster-client/node-redis.js';
import { DEADLINE_MS } from './cluster-client/connection.js';
import { RedisStore } from './store.js';
import { infoOf, stateOf } from './deployment.js';
import type { Partition } from './partitions.js';
import { ClusterClient } from './cluster-client/cluster-client.js';
import { bounds, RedisRanges } from './ranges.js';
import type { RedisAddress } from './cluster-client/redis-url.js';
import { COUNT } from './scripts.js';
import { prepare } from './preflight.js';
import { RedisWriter } from './writer.js';

/** How often each partition is visited, and in how many turns all of them, so that no request waits behind all at once. */
const VISIT_EVERY_MS = 1_000;
const VISIT_TURNS = 16;
const SWEEP_AT_ONCE = 100;
const MAX_EDITS = 10;
const LONGEST_EDIT_PAUSE_MS = 50;

export interface RedisSettings extends OpenSettings {
  /** How large the change log may grow, bytes, over all servers of a cluster together. */
  readonly watchLogBytes: number;
  /** How many replicas have to have a write before it is answered. */
  readonly waitReplicas: number;
  /** Told what limits the promises of the servers, a line each. */
  readonly report: (line: string) => void;
}

/**
 * Entries in a Redis or Valkey server, or in a cluster of them, which any number of Pigeonhole servers share.
 *
 * Every write is one script that decides and does it where the key lives; a read of a key is one command. How the pieces
 * lie together is told in layout.ts; scripts.ts is what runs in Redis, nodes.ts the way there and back, ranges.ts ordered
 * listings, change-feed.ts what watchers read, start.ts what is looked at first.
 *
 * An acknowledged write survives what the servers' own persistence and replicas survive. Clocks are those of the Pigeonhole
 * servers; what one of them has seen has happened for all that write to the same partition.
 */
export class RedisEngine extends StorageEngine {
  private nodes: ClusterClient | undefined;
  private database!: RedisStore;
  private ranges!: RedisRanges;
  private writes!: RedisWriter;
  private feed: RedisChangeLog | undefined;
  private visits: NodeJS.Timeout | undefined;
  private readonly visited = new Set<Partition>();
  private closed = false;
  /** Writes that have not been answered: one may take several commands. */
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(
    private readonly address: RedisAddress,
    private readonly settings: RedisSettings,
    private readonly clock = new Clock(),
  ) {
    super();
  }

  get capabilities(): Capabilities {
    const partitions = this.database ? this.database.layout.partitions.length : this.address.partitions;
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
    const { address, settings } = this;
    const nodes = new ClusterClient(address, settings.waitReplicas, settings.report, () =>
      this.feed?.moved(),
    );
    this.nodes = nodes;
    try {
      const { epoch, partitions } = await prepare(nodes, address, this.clock.now(), settings);
      this.database = new RedisStore(nodes, this.clock, epoch, partitions, settings.watchLogBytes);
      await this.database.each((partition) => this.database.hearTime(partition));
    } catch (error) {
      nodes.close();
      if (this.closed) throw new StartError('The server was stopped while it started.');
      throw error instanceof StartError ? error : new StartError((error as Error).message);
    }
    this.ranges = new RedisRanges(this.database);
    this.writes = new RedisWriter(this.database);
    this.feed = new RedisChangeLog(this.database);
    const turns = Math.min(VISIT_TURNS, this.database.layout.partitions.length);
    let turn = 0;
    this.visits = setInterval(() => this.visitSome(turn++ % turns, turns), VISIT_EVERY_MS / turns).unref();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.visits);
    this.feed?.close();
    await Promise.allSettled(this.underWay);
    this.nodes?.close();
  }

  now(): number {
    return this.clock.now();
  }

  get(key: string): Promise<Entry | undefined> {
    return this.ranges.fetch(key);
  }

  write(operation: Operation): Promise<Outcome> {
    return this.settled(operation.op === 'edit' ? this.edit(operation) : this.writes.one(operation));
  }

  batch(
    operations: readonly BatchOperation[],
    atomic: boolean,
    maxBytes?: number,
  ): Promise<(Outcome | DatabaseError)[]> {
    const { writes } = this;
    return this.settled(atomic ? writes.atomic(operations, maxBytes) : writes.pipeline(operations, maxBytes));
  }

  range(query: RangeQuery): Promise<RangePage> {
    return this.ranges.page(query);
  }

  scan(range: ScanRange): AsyncIterable<readonly Entry[]> {
    return this.ranges.scan(range);
  }

  async count(prefix: string): Promise<number> {
    const [low, high] = bounds({ prefix, after: undefined, reverse: false });
    const partitions = this.database.layout.partitionsOf(prefix);
    const counts = await Promise.all(
      partitions.map((partition) => this.database.ask(partition, COUNT, [low, high, prefix])),
    );
    return (counts as number[]).reduce((sum, count) => sum + count, 0);
  }

  position(): Promise<string> {
    return this.feed!.position();
  }

  changes(position: string): Promise<Change[] | undefined> {
    return this.feed!.changes(position);
  }

  covers(position: string, change: Pick<Change, 'key' | 'etag'>): boolean {
    return this.feed!.covers(position, change);
  }

  includes(position: string, other: string): boolean {
    return this.feed!.includes(position, other);
  }

  onChange(listener: () => void): () => void {
    return this.feed!.onChange(listener);
  }

  async stats(): Promise<EngineStats> {
    const infos = await this.database.nodes.all((primary) => infoOf(primary, 'memory'));
    const used = infos.map((info) => Number(info.get('used_memory')));
    const most = infos.map((info) => Number(info.get('maxmemory')));
    // The first server that is full refuses the keys of its slots.
    const rooms = most.map((limit, i) => (limit === 0 ? Infinity : Math.max(0, limit - used[i]!)));
    const room = Math.min(...rooms) * rooms.length;
    return {
      entries: await this.count(''),
      storedBytes: used.reduce((sum, bytes) => sum + bytes, 0),
      availableBytes: Number.isFinite(room) ? room : undefined,
    };
  }

  state(): Promise<EngineState> {
    return stateOf(this.database.nodes.topology);
  }

  async peers(): Promise<number> {
    const lists = await this.database.nodes.all((primary) =>
      primary.send(['CLIENT', 'LIST', 'TYPE', 'normal']),
    );
    const clients = lists.flatMap((list) =>
      [...String(list).matchAll(CLIENT_NAME)].map(({ groups }) => groups!),
    );
    // A server may have other databases of ours.
    const here = clients.filter(({ database }) => Number(database) === this.address.database);
    return new Set(here.map(({ name }) => name).filter((name) => name !== OWN_NAME)).size;
  }

  async backup(): Promise<void> {
    throw new DatabaseError(
      'not-supported',
      'A database in Redis is backed up by Redis itself: its snapshots and append-only files.',
    );
  }

  readonly system = {
    get: async (name: string) => {
      const { partition, name: hash } = this.database.layout.system;
      return ((await this.database.read(partition, 'HGET', hash, name)) as Buffer | null) ?? undefined;
    },
    put: async (name: string, value: Buffer) => {
      const { partition, name: hash } = this.database.layout.system;
      await this.settled(this.database.change(partition, 'HSET', hash, name, value));
    },
    delete: async (name: string) => {
      const { partition, name: hash } = this.database.layout.system;
      await this.settled(this.database.change(partition, 'HDEL', hash, name));
    },
    list: async (prefix: string) => {
      const { partition, name: hash } = this.database.layout.system;
      const fields = (await this.database.read(partition, 'HGETALL', hash)) as Buffer[];
      const records: { name: string; value: Buffer }[] = [];
      for (let i = 0; i < fields.length; i += 2) {
        const name = fields[i]!.toString('latin1');
        if (name.startsWith(prefix)) records.push({ name, value: fields[i + 1]! });
      }
      return records.toSorted((a, b) => compareKeys(a.name, b.name));
    },
  };

  /** Closing waits for it. */
  private settled<T>(work: Promise<T>): Promise<T> {
    const done = () => this.underWay.delete(work);
    this.underWay.add(work);
    work.then(done, done);
    return work;
  }

  /** What to write is made here, and written if nobody else has written meanwhile. */
  private async edit({ key, edit, condition }: Extract<Operation, { op: 'edit' }>): Promise<Outcome> {
    const due = performance.now() + DEADLINE_MS;
    for (let tries = 1; ; tries++) {
      const entry = await this.ranges.fetch(key, due);
      if (!entry) throw new MissingKeyError(key);
      if (condition) assertHolds(condition, key, entry);
      const put = { op: 'put', key, value: edit(entry), type: entry.type, expiry: 'keep' } as const;
      try {
        return await this.writes.one({ ...put, condition: { ifMatch: [entry.etag] } }, due);
      } catch (error) {
        if (!(error instanceof DatabaseError) || error.code !== 'precondition-failed') throw error;
        if (tries === MAX_EDITS) throw new DatabaseError('busy', TOO_MANY_WRITERS);
        await pause(Math.random() * LONGEST_EDIT_PAUSE_MS);
      }
    }
  }

  /** One visit at a time of each partition: those of a server that does not answer hold up no others. */
  private visitSome(turn: number, turns: number): void {
    for (const partition of this.database.layout.partitions) {
      if (partition.id % turns !== turn || this.visited.has(partition)) continue;
      this.visited.add(partition);
      const done = () => this.visited.delete(partition);
      // What fails is tried again by the next visit.
      this.visit(partition).then(done, done);
    }
  }

  /** Removes what has expired, and hears of changes that no message told of. */
  private visit(partition: Partition): Promise<void> {
    const { database, settings } = this;
    return this.feed!.look(partition, async () => {
      if (settings.readOnly) return database.tagOf(partition);
      for (;;) {
        const { count, tag } = await database.sweep(partition, SWEEP_AT_ONCE);
        if (count < SWEEP_AT_ONCE || this.closed) return tag;
      }
    });
  }
}

const TOO_MANY_WRITERS =
  'Others kept changing the value while it was being edited. Nothing was applied; repeat the request.';
