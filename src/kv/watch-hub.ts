import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { AppConfig, isLoopback, shareOf } from '../config/app-config.js';
import { DatabaseError } from '../errors.js';
import { StorageEngine, type Change } from '../storage/storage-engine.js';
import { changeEvent, heartbeatEvent } from './watch-events.js';

const HEARTBEAT_MS = 15_000;
/** Where changes have no id of their own, a heartbeat tells one so long after them. */
const ID_AFTER_MS = 1_000;
/** Of other machines; programs of this one, and a proxy on it, all have the same address. */
const MAX_PER_ADDRESS = 100;

/** What somebody follows: one key, or every key that begins with a prefix. */
export type WatchTarget = { readonly key: string } | { readonly prefix: string };

/** Somebody who is told of changes as they happen. */
export interface Watcher {
  /** Changes, and their events as encoded once for all who get the same. */
  deliver(events: Buffer, changes: readonly Change[]): void;
  /** A sign of life: everything up to `position` has been told. */
  heartbeat(event: Buffer, position: string): void;
  /** The server stops, or can tell no more: the client should come again. */
  end(): void;
}

/** Watchers that get the same events. */
class Audience {
  readonly watchers = new Set<Watcher>();
  /** What it is to be told next, and the same encoded. */
  changes: Change[] = [];
  events: string[] = [];
}

/**
 * Tells watchers of changes.
 *
 * Problem: a thousand watchers and a hundred writes a second are a hundred thousand events. Design: one reader follows the
 * change log for all. The audience of a key is found by looking up the key, and its beginnings of those lengths that are
 * watched, so that finding does not slow down with the number of watchers. An event is encoded once, and what one look at
 * the log brings an audience is one buffer that every watcher of it writes. After a delivery the hub rests as long as the
 * delivery took, so that it gathers more under load and never takes more than half of the processor. Guarantee: a watcher
 * that has followed the log to the hub's position by itself, and then joins, misses nothing.
 *
 * In a cluster a position is long, and changes have no one order. Their events carry no id there; whoever was told some
 * hears a heartbeat with one within a second, so that a client that resumes repeats that second at most.
 */
@Injectable()
export class WatchHub implements OnModuleInit, OnModuleDestroy {
  private readonly byKey = new Map<string, Audience>();
  private readonly byPrefix = new Map<string, Audience>();
  /** How many watched prefixes have each length, UTF-16 units. */
  private readonly prefixLengths = new Map<number, number>();
  private readonly logger = new Logger('Watch');
  /** How far the audiences have been told; undefined while there are none. */
  private position: string | undefined;
  /** The beginning, which all wait for who come meanwhile: a second one would take the position back or forth. */
  private starting: Promise<void> | undefined;
  private delivering = false;
  private again = false;
  private watchers = 0;
  private readonly byAddress = new Map<string, number>();
  /** Clients that are not told by the hub yet, but have to be when the server stops. */
  private readonly arriving = new Set<Watcher>();
  private stopped = false;
  private heartbeats: NodeJS.Timeout | undefined;
  /** Those who were told changes without ids, and wait for a heartbeat with one. */
  private readonly owed = new Set<Audience>();
  private paying: NodeJS.Timeout | undefined;
  private stopListening: (() => void) | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {}

  onModuleInit(): void {
    this.stopListening = this.engine.onChange(() => this.wake());
    this.heartbeats = setInterval(() => this.beat(this.everybody()), HEARTBEAT_MS).unref();
  }

  onModuleDestroy(): void {
    this.stopped = true;
    this.stopListening?.();
    clearInterval(this.heartbeats);
    clearTimeout(this.paying);
    this.endAll();
  }

  /** Whether there is room for one more, and it makes sense to wait. */
  hasRoom(): boolean {
    return !this.stopped && this.watchers < shareOf(this.config.maxWatchers, this.config);
  }

  /** Counts a client in, from the snapshot on. Answers how to count it out. @throws DatabaseError `busy` */
  enter(address: string): () => void {
    if (!this.hasRoom()) {
      const limit = shareOf(this.config.maxWatchers, this.config);
      throw new DatabaseError('busy', `${limit} clients are watching already (MAX_WATCHERS).`, {
        limit,
        setting: 'MAX_WATCHERS',
      });
    }
    const others = this.byAddress.get(address) ?? 0;
    if (others >= MAX_PER_ADDRESS && !isLoopback(address)) {
      const detail = `${MAX_PER_ADDRESS} clients of this address are watching already.`;
      throw new DatabaseError('busy', detail, { limit: MAX_PER_ADDRESS });
    }
    this.watchers++;
    this.byAddress.set(address, others + 1);
    return () => this.exit(address);
  }

  private exit(address: string): void {
    this.watchers--;
    const left = this.byAddress.get(address)! - 1;
    if (left === 0) this.byAddress.delete(address);
    else this.byAddress.set(address, left);
  }

  /** Ends `watcher` if the server stops before it has joined. Answers how to forget it. */
  expect(watcher: Watcher): () => void {
    this.arriving.add(watcher);
    if (this.stopped) watcher.end();
    return () => this.arriving.delete(watcher);
  }

  /**
   * Tells `watcher` of changes of `target` from now on. Answers how to leave. The hub may still be behind, so that it tells
   * what the watcher has read by itself, but never ahead once `follow` has resolved.
   */
  join(target: WatchTarget, watcher: Watcher): () => void {
    const audience = this.audienceOf(target);
    audience.watchers.add(watcher);
    if (this.stopped) watcher.end();
    return () => {
      audience.watchers.delete(watcher);
      if (audience.watchers.size === 0) this.forget(target, audience);
    };
  }

  /** Begins to follow the log if nobody did. Whoever calls it has joined, or else the hub might stop again before. */
  async follow(): Promise<void> {
    if (this.position !== undefined) return;
    this.starting ??= this.start();
    await this.starting;
  }

  private async start(): Promise<void> {
    try {
      this.position = await this.engine.position();
    } finally {
      this.starting = undefined;
    }
  }

  private wake(): void {
    if (this.position === undefined) return;
    this.again = true;
    if (!this.delivering) void this.deliverAll();
  }

  private async deliverAll(): Promise<void> {
    this.delivering = true;
    try {
      while (this.again && !this.stopped) {
        this.again = false;
        const start = performance.now();
        await this.deliverNews();
        const took = performance.now() - start;
        if (took > 1) await new Promise((resolve) => setTimeout(resolve, took));
      }
    } catch (error) {
      // Whoever comes again starts from the log, and hears what is wrong with it.
      this.logger.error(error instanceof Error ? error.stack : String(error));
      this.endAll();
    } finally {
      this.delivering = false;
    }
  }

  /** Reads the log on to its end and hands out what it says. */
  private async deliverNews(): Promise<void> {
    while (this.position !== undefined) {
      if (this.byKey.size === 0 && this.byPrefix.size === 0) {
        this.position = undefined;
        return;
      }
      const changes = await this.engine.changes(this.position);
      if (!changes) return this.endAll();
      if (changes.length === 0) return;
      this.position = changes.at(-1)!.position;
      this.handOut(changes);
      // A burst must leave the sockets time to drain, or those who read fast would be cut off with those who do not.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private handOut(changes: readonly Change[]): void {
    const { totalOrder } = this.engine.capabilities;
    const told = new Set<Audience>();
    for (const change of changes) {
      let event: string | undefined;
      for (const audience of this.audiencesOf(change.key)) {
        event ??= changeEvent(change, totalOrder);
        audience.events.push(event);
        audience.changes.push(change);
        told.add(audience);
      }
    }
    for (const audience of told) {
      const events = Buffer.from(audience.events.join(''));
      const { changes: its } = audience;
      audience.events = [];
      audience.changes = [];
      for (const watcher of audience.watchers) watcher.deliver(events, its);
    }
    if (!totalOrder) this.owe(told);
  }

  private owe(told: Iterable<Audience>): void {
    for (const audience of told) this.owed.add(audience);
    this.paying ??= setTimeout(() => {
      this.paying = undefined;
      const watchers = [...this.owed].flatMap((audience) => [...audience.watchers]);
      this.owed.clear();
      this.beat(watchers);
    }, ID_AFTER_MS).unref();
  }

  private *audiencesOf(key: string): Iterable<Audience> {
    const exact = this.byKey.get(key);
    if (exact) yield exact;
    for (const length of this.prefixLengths.keys()) {
      if (length > key.length) continue;
      const audience = this.byPrefix.get(key.slice(0, length));
      if (audience) yield audience;
    }
  }

  private audienceOf(target: WatchTarget): Audience {
    const [audiences, name] = 'key' in target ? [this.byKey, target.key] : [this.byPrefix, target.prefix];
    let audience = audiences.get(name);
    if (!audience) {
      audiences.set(name, (audience = new Audience()));
      if ('prefix' in target) this.countLength(name.length, 1);
    }
    return audience;
  }

  private forget(target: WatchTarget, audience: Audience): void {
    const [audiences, name] = 'key' in target ? [this.byKey, target.key] : [this.byPrefix, target.prefix];
    if (audiences.get(name) !== audience) return;
    audiences.delete(name);
    if ('prefix' in target) this.countLength(name.length, -1);
  }

  private countLength(length: number, change: 1 | -1): void {
    const count = (this.prefixLengths.get(length) ?? 0) + change;
    if (count === 0) this.prefixLengths.delete(length);
    else this.prefixLengths.set(length, count);
  }

  private beat(watchers: Iterable<Watcher>): void {
    if (this.position === undefined) return;
    const event = Buffer.from(heartbeatEvent(this.position));
    for (const watcher of watchers) watcher.heartbeat(event, this.position);
  }

  private endAll(): void {
    for (const watcher of this.everybody()) watcher.end();
    if (this.stopped) for (const watcher of this.arriving) watcher.end();
    this.position = undefined;
  }

  private *everybody(): Iterable<Watcher> {
    for (const audience of [...this.byKey.values(), ...this.byPrefix.values()]) yield* audience.watchers;
  }
}
