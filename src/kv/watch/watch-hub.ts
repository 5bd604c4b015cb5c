import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../../errors.js';
import { StorageEngine, type Change } from '../../storage/storage-engine.js';
import { Audiences, type Audience, type Watcher, type WatchTarget } from './audiences.js';
import { changeEvent, heartbeatEvent } from './watch-events.js';

const HEARTBEAT_MS = 15_000;
/** Where changes have no id of their own, a heartbeat tells one so long after them. */
const ID_AFTER_MS = 1_000;
/** After a look at the log, at least, so that a busy server does not look after every commit. */
const LEAST_REST_MS = 5;
/** Of what telling everybody took: at most a third of the processor goes into it. */
const REST_SHARE = 2;
/** To how many watchers is written before others have their turn; a write costs some microseconds. */
const TOLD_AT_ONCE = 100;

/** What an audience is to be told, and the same encoded. */
interface News {
  readonly changes: Change[];
  events: string;
}

/**
 * Tells watchers of changes.
 *
 * Problem: a thousand watchers and a hundred writes a second are a hundred thousand events, and nearly all that costs is a
 * write to a socket. Design: one reader follows the change log for all. An event is encoded once, and what one look at the
 * log brings an audience is one buffer and one write to each of its watchers. Then the hub rests, the longer the more
 * watchers there are, so that each write carries more events under load. Guarantee: a watcher that has followed the log to
 * the hub's position by itself, and then joins, misses nothing.
 *
 * In a cluster a position is long, and changes have no one order. Their events carry no id there; whoever was told some
 * hears a heartbeat with one within a second, so that a client that resumes repeats that second at most.
 */
@Injectable()
export class WatchHub implements OnModuleInit, OnModuleDestroy {
  private readonly audiences = new Audiences();
  private readonly logger = new Logger('Watch');
  /** What everybody has been told; undefined while nobody watches. */
  private position: string | undefined;
  /** The beginning, which all wait for who come meanwhile: a second one would take the position back or forth. */
  private starting: Promise<void> | undefined;
  private telling = false;
  private again = false;
  /** The last time that changes were handed out, which takes a while. */
  private delivery = Promise.resolve();
  /** Clients that are not told by the hub yet, but have to be when the server stops. */
  private readonly arriving = new Set<Watcher>();
  private stopped = false;
  private heartbeats: NodeJS.Timeout | undefined;
  /** Those who were told changes without ids, and wait for a heartbeat with one. */
  private readonly owed = new Set<Audience>();
  private paying: NodeJS.Timeout | undefined;
  private stopListening: (() => void) | undefined;
  private isKnownDamaged = false;

  constructor(private readonly engine: StorageEngine) {}

  onModuleInit(): void {
    this.stopListening = this.engine.onChange(() => this.wake());
    this.heartbeats = setInterval(() => void this.beat(this.audiences.all()), HEARTBEAT_MS).unref();
  }

  onModuleDestroy(): void {
    this.stopped = true;
    this.stopListening?.();
    clearInterval(this.heartbeats);
    clearTimeout(this.paying);
    this.endAll();
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
    const leave = this.audiences.join(target, watcher);
    if (this.stopped) watcher.end();
    return leave;
  }

  /** Begins to follow the log if nobody did. Whoever calls it has joined, or else the hub might stop again before. */
  async follow(): Promise<void> {
    if (this.position !== undefined) return;
    this.starting ??= this.start();
    await this.starting;
  }

  /** Changes behind `position`; undefined if the log cannot tell, for example because it is damaged there. */
  async changes(position: string): Promise<readonly Change[] | undefined> {
    try {
      return await this.engine.changes(position);
    } catch (error) {
      if (!(error instanceof DatabaseError && error.code === 'corrupt')) throw error;
      // Once: everybody who comes back behind the damage gets here.
      if (!this.isKnownDamaged) this.logger.error(`${error.detail} Whoever needs it is told to begin anew.`);
      this.isKnownDamaged = true;
      return undefined;
    }
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
    if (!this.telling) void this.tellAll();
  }

  private async tellAll(): Promise<void> {
    this.telling = true;
    try {
      while (this.again && !this.stopped) {
        this.again = false;
        const start = performance.now();
        if (!(await this.tellNext())) continue;
        this.again = true;
        await pause(Math.max(LEAST_REST_MS, REST_SHARE * (performance.now() - start)));
      }
    } catch (error) {
      // Whoever comes again starts from the log, and hears what is wrong with it.
      const isAway = error instanceof DatabaseError && error.code === 'unavailable';
      if (isAway) this.logger.warn('Watchers are let go, to come again: the storage does not answer.');
      else this.logger.error(error instanceof Error ? error.stack : String(error));
      this.endAll();
    } finally {
      this.telling = false;
    }
  }

  /** Reads on in the log and hands out what it says. False if that is nothing. */
  private async tellNext(): Promise<boolean> {
    if (this.audiences.isEmpty) this.position = undefined;
    if (this.position === undefined) return false;
    const changes = await this.changes(this.position);
    if (!changes) this.endAll();
    if (!changes || changes.length === 0) return false;
    this.delivery = this.deliver(changes);
    await this.delivery;
    return true;
  }

  private async deliver(changes: readonly Change[]): Promise<void> {
    await handOut(this.newsIn(changes));
    if (!this.stopped) this.position = changes.at(-1)!.position;
  }

  private newsIn(changes: readonly Change[]): Map<Audience, News> {
    const { totalOrder } = this.engine.capabilities;
    const news = new Map<Audience, News>();
    for (const change of changes) {
      let event: string | undefined;
      for (const audience of this.audiences.concernedBy(change.key)) {
        event ??= changeEvent(change, totalOrder);
        let its = news.get(audience);
        if (!its) news.set(audience, (its = { changes: [], events: '' }));
        its.changes.push(change);
        its.events += event;
      }
    }
    if (!totalOrder) this.owe(news.keys());
    return news;
  }

  private owe(told: Iterable<Audience>): void {
    for (const audience of told) this.owed.add(audience);
    this.paying ??= setTimeout(() => {
      this.paying = undefined;
      const audiences = [...this.owed];
      this.owed.clear();
      void this.beat(audiences);
    }, ID_AFTER_MS).unref();
  }

  private async beat(audiences: Iterable<Audience>): Promise<void> {
    // In the middle of a delivery the position would take those back who were told already.
    await this.delivery.catch(() => undefined);
    if (this.position === undefined) return;
    const event = Buffer.from(heartbeatEvent(this.position));
    for (const audience of audiences) for (const watcher of audience) watcher.heartbeat(event, this.position);
  }

  private endAll(): void {
    for (const audience of this.audiences.all()) for (const watcher of audience) watcher.end();
    if (this.stopped) for (const watcher of this.arriving) watcher.end();
    this.position = undefined;
  }
}

/** Others have their turn in between, sockets too: they drain, and whoever has left is told no more. */
async function handOut(news: ReadonlyMap<Audience, News>): Promise<void> {
  let told = 0;
  for (const [audience, { changes, events }] of news) {
    const bytes = Buffer.from(events);
    for (const watcher of audience) {
      watcher.deliver(bytes, changes);
      if (++told % TOLD_AT_ONCE === 0) await turn();
    }
  }
}
