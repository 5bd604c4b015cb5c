import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import { FenceWatch } from '../../storage/fence-watch.js';
import { RenamedChange } from '../../storage/jail/views.js';
import { StorageEngine, type Change, type LogPage, type WatchTarget } from '../../storage/storage-engine.js';
import { Audiences, type Audience, type Watcher } from './audiences.js';
import { changeEvent, heartbeatEvent } from './watch-events.js';

const HEARTBEAT_MS = 15_000;
/** Where changes have no id of their own, a heartbeat with one follows after this time. */
const ID_AFTER_MS = 1_000;
/** The shortest pause between two reads of the log, so that a busy server does not read it after every commit. */
const MIN_PAUSE_MS = 5;
/** The pause, as a multiple of what the delivery took: at most a third of the processor goes into deliveries. */
const PAUSE_SHARE = 2;
/** The same after so many changes at once that waiting for more of them gains nothing. */
const SHORT_PAUSE_SHARE = 1 / 2;
const MANY_CHANGES = 1000;

/** Changes that concern an audience, and their events. */
interface News {
  readonly changes: Change[];
  events: string;
}

/**
 * Delivers changes to watchers.
 *
 * Problem: a thousand watchers and a hundred writes a second are a hundred thousand events, and nearly all of the cost is
 * writing to sockets. Design: one reader follows the change log for all. An event is encoded once, and what one read of
 * the log brings an audience is one buffer and one write to each of its watchers. Then the hub pauses, the longer the more
 * watchers there are, so that each write carries more events under load. Guarantee: a watcher that has followed the log to
 * the hub's position by itself, and then joins, misses nothing.
 *
 * In a cluster a position is long, and changes have no one order. There events carry no id; a heartbeat with an id follows
 * within a second, so a client that resumes repeats at most that second.
 */
@Injectable()
export class WatchHub implements OnModuleInit, OnModuleDestroy {
  private readonly audiences = new Audiences();
  private readonly logger = new Logger('Watch');
  /** How far the changes have been delivered; undefined while nobody watches. */
  private position: string | undefined;
  /** The start that is under way. All who join meanwhile wait for it: a second one would move the position. */
  private starting: Promise<void> | undefined;
  private delivering = false;
  private hasMore = false;
  /** The last delivery, which may still be under way. */
  private delivery = Promise.resolve();
  /** Clients that have not joined yet, and have to be ended when the server stops. */
  private readonly arriving = new Set<Watcher>();
  private stopped = false;
  private heartbeats: NodeJS.Timeout | undefined;
  /** Audiences that got changes without ids, and wait for a heartbeat with one. */
  private readonly withoutId = new Set<Audience>();
  private idTimer: NodeJS.Timeout | undefined;
  private stopListening: (() => void) | undefined;
  private isKnownDamaged = false;

  constructor(
    private readonly engine: StorageEngine,
    private readonly fenceWatch: FenceWatch,
  ) {}

  onModuleInit(): void {
    this.stopListening = this.engine.onChange(() => this.wake());
    this.fenceWatch.follow((refusal) => {
      if (refusal) this.endAll();
    });
    this.heartbeats = setInterval(() => this.startBeat(this.audiences.all()), HEARTBEAT_MS).unref();
  }

  onModuleDestroy(): void {
    this.stopped = true;
    this.stopListening?.();
    clearInterval(this.heartbeats);
    clearTimeout(this.idTimer);
    this.endAll();
  }

  /** Ends `watcher` if the server stops before it has joined. Returns a function that forgets it. */
  expect(watcher: Watcher): () => void {
    this.arriving.add(watcher);
    if (this.stopped) watcher.end();
    return () => this.arriving.delete(watcher);
  }

  /**
   * Delivers changes of `targets`, none of which overlap, to `watcher` from now on. Returns a function that ends it. The hub
   * may be behind the watcher, and then delivers what that has read by itself, but never ahead of it once `follow` has
   * resolved.
   *
   * @param namespace in which the targets are, and without which the watcher gets keys
   */
  join(targets: readonly WatchTarget[], watcher: Watcher, namespace: string): () => void {
    const leave = this.audiences.join(targets, watcher, namespace);
    if (this.stopped) watcher.end();
    return leave;
  }

  /** Starts to follow the log unless that has been done. Call it after `join`, or the hub may stop again before. */
  async follow(): Promise<void> {
    if (this.position !== undefined) return;
    this.starting ??= this.start();
    await this.starting;
  }

  /** Returns changes after `position`; undefined if the log cannot serve it, for example because it is damaged there. */
  async changes(
    engine: StorageEngine,
    position: string,
    targets: readonly WatchTarget[],
  ): Promise<LogPage | undefined> {
    try {
      return await engine.changes(position, targets);
    } catch (error) {
      if (!(error instanceof DatabaseError && error.code === 'corrupt')) throw error;
      // Logged once: every client that resumes after the damage gets here.
      if (!this.isKnownDamaged) this.logger.error(`${error.detail} Clients that need it get \`reset\`.`);
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
    this.hasMore = true;
    if (!this.delivering) void this.deliverAll();
  }

  private async deliverAll(): Promise<void> {
    this.delivering = true;
    try {
      while (this.hasMore && !this.stopped) {
        this.hasMore = false;
        const start = performance.now();
        const count = await this.deliverNext();
        if (count === 0) continue;
        this.hasMore = true;
        const share = count < MANY_CHANGES ? PAUSE_SHARE : SHORT_PAUSE_SHARE;
        await pause(Math.max(MIN_PAUSE_MS, share * (performance.now() - start)));
      }
    } catch (error) {
      // A client that comes again starts from the log, and gets the error.
      const isAway = error instanceof DatabaseError && error.code === 'unavailable';
      if (isAway) this.logger.warn('Watchers are disconnected, to come again: the storage does not answer.');
      else this.logger.error(error instanceof Error ? error.stack : String(error));
      this.endAll();
    } finally {
      this.delivering = false;
    }
  }

  /** Reads on in the log and delivers what it says. Returns how many changes that is. */
  private async deliverNext(): Promise<number> {
    if (this.audiences.isEmpty) this.position = undefined;
    if (this.position === undefined) return 0;
    const page = await this.changes(this.engine, this.position, this.audiences.targets);
    if (!page) this.endAll();
    if (!page || this.stopped) return 0;
    this.delivery = this.deliver(page);
    await this.delivery;
    return page.changes.length;
  }

  private async deliver({ changes, position }: LogPage): Promise<void> {
    if (changes.length > 0) await sendAll(await this.newsIn(changes));
    if (!this.stopped) this.position = position;
  }

  /** Returns the news of each audience. Who joins meanwhile has read the changes from the log. */
  private async newsIn(changes: readonly Change[]): Promise<Map<Audience, News>> {
    const { totalOrder } = this.engine.capabilities;
    const news = new Map<Audience, News>();
    for (const change of changes) {
      let last: { readonly namespace: string; readonly seen: Change; readonly event: string } | undefined;
      for (const audience of this.audiences.concernedBy(change.key)) {
        const { namespace } = audience;
        // The text of the namespace itself is a key to others, and none inside.
        if (namespace !== '' && change.key.length === namespace.length) continue;
        if (last?.namespace !== namespace) {
          const seen = inNamespace(change, namespace);
          last = { namespace, seen, event: changeEvent(seen, totalOrder) };
        }
        let its = news.get(audience);
        if (!its) news.set(audience, (its = { changes: [], events: '' }));
        its.changes.push(last.seen);
        its.events += last.event;
      }
      const othersFirst = giveWay();
      if (othersFirst) await othersFirst;
    }
    if (!totalOrder) this.sendIdSoon(news.keys());
    return news;
  }

  private sendIdSoon(audiences: Iterable<Audience>): void {
    for (const audience of audiences) this.withoutId.add(audience);
    this.idTimer ??= setTimeout(() => {
      this.idTimer = undefined;
      const waiting = [...this.withoutId];
      this.withoutId.clear();
      this.startBeat(waiting);
    }, ID_AFTER_MS).unref();
  }

  private startBeat(audiences: Iterable<Audience>): void {
    this.beat(audiences).catch((error: Error) => this.logger.error(error.stack));
  }

  private async beat(audiences: Iterable<Audience>): Promise<void> {
    // In the middle of a delivery the position is older than what some have got.
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

/** Returns a change as those see it whose database the namespace is. */
function inNamespace(change: Change, namespace: string): Change {
  return namespace === '' ? change : new RenamedChange(change.key.slice(namespace.length), change);
}

/** Gives way to other work now and then: sockets drain meanwhile, and clients that have left are skipped. */
async function sendAll(news: ReadonlyMap<Audience, News>): Promise<void> {
  for (const [audience, { changes, events }] of news) {
    const bytes = Buffer.from(events);
    for (const watcher of audience) {
      watcher.deliver(bytes, changes);
      const othersFirst = giveWay();
      if (othersFirst) await othersFirst;
    }
  }
}
