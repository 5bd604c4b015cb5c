import type { ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import { writePaced } from '../../http/answer/paced-writer.js';
import type { Entry } from '../../storage/entry.js';
import { compareKeys } from '../../storage/key-range.js';
import type { Change, StorageEngine, WatchTarget } from '../../storage/storage-engine.js';
import { changeEvent, readyEvent, RESET, snapshotEvent } from './watch-events.js';
import { concerns, type Watcher } from './audiences.js';
import type { WatchHub } from './watch-hub.js';
import { cut, resets } from './watch-meters.js';

const PAGE_ITEMS = 500;
const PAGE_BYTES = 256 * 1024;
/** For a key that is written all the time: after so many reads a change may be sent that the snapshot shows already. */
const MAX_READS = 10;
const MAX_PENDING_BYTES = 256 * 1024;
/** Stands for `since=now`: live only. A symbol, so that no id that a client sends is taken for it. */
export const NOW = Symbol('now');
/** The last page shows every key to the end. */
const END = undefined;

/** A page of the snapshot: the keys up to `upTo` were read at `position`. */
interface Shown {
  readonly upTo: string | undefined;
  readonly position: string;
}

/** The pages of each target. */
type Snapshot = Map<WatchTarget, readonly Shown[]>;

/**
 * One client that watches: a snapshot, after each of its pages what the log brought meanwhile, then live.
 *
 * Nothing is kept for a client in its snapshot but the position at which each page was read: a change that the log brings
 * later is left out if the page of its key shows it already. A client that does not read is cut off when 256 KiB wait for
 * it; it comes again with the id of its last event. Nothing has an id before the snapshot is out, so that
 * a client that is cut off within it starts anew.
 */
export class WatchSession implements Watcher {
  /** How far the log has been read for this client. */
  position = '';
  private live = false;
  /** Whether the hub has delivered changes that this client, not yet live, has to read from the log. */
  private missed = false;
  /** Whether this client may have read more than the hub has delivered. */
  private ahead = true;

  constructor(
    private readonly engine: StorageEngine,
    private readonly hub: WatchHub,
    private readonly response: ServerResponse,
    /** None of them overlap. */
    private readonly targets: readonly WatchTarget[],
    private readonly onGone: (listener: () => void) => void,
    /** The namespace that the engine shows. */
    private readonly namespace: string,
  ) {}

  /** Runs until the client is live. `from` is an id, NOW, or undefined for a snapshot. */
  async run(from: string | typeof NOW | undefined): Promise<void> {
    const forget = this.hub.expect(this);
    try {
      if (from === NOW) this.position = await this.engine.position();
      else if (from === undefined || !(await this.resume(from))) await this.startAnew(from !== undefined);
      while (!(await this.goLive())) await this.startAnew(true);
    } finally {
      forget();
    }
  }

  deliver(events: Buffer, changes: readonly Change[]): void {
    if (!this.live) {
      this.missed = true;
    } else if (this.ahead) {
      const news = changes.filter((change) => !this.engine.covers(this.position, change));
      this.ahead = news.length < changes.length;
      if (news.length > 0) this.write(this.ahead ? Buffer.from(this.encode(news)) : events);
    } else {
      this.write(events);
    }
  }

  heartbeat(event: Buffer, position: string): void {
    // An id must never take the client back.
    if (this.live && this.engine.includes(position, this.position)) this.write(event);
  }

  end(): void {
    const { response } = this;
    // A snapshot that is under way would write after the end.
    if (this.live) response.end();
    else response.destroy();
    this.live = false;
  }

  /** Reads the log from `id`. Returns false if the log cannot serve it. */
  private async resume(id: string): Promise<boolean> {
    this.position = id;
    return this.catchUp();
  }

  private async startAnew(reset: boolean): Promise<void> {
    for (let resetting = reset; ; resetting = true) {
      if (resetting) resets.value++;
      if (resetting) await writePaced(this.response, RESET);
      this.position = await this.engine.position();
      if (await this.showAll()) return;
    }
  }

  /** Sends the snapshot. Returns false if the log has moved past it, although it was read after every page. */
  private async showAll(): Promise<boolean> {
    const snapshot: Snapshot = new Map();
    for (const target of this.targets) {
      const shown: Shown[] = [];
      snapshot.set(target, shown);
      const pages = 'key' in target ? this.showKey(target.key) : this.showRange(target.prefix);
      for await (const page of pages) {
        shown.push(page);
        if (!(await this.catchUp(snapshot))) return false;
      }
    }
    return true;
  }

  /** A remote engine answers one question at a time: a position between two equal reads is that of the entry. */
  private async *showKey(key: string): AsyncIterable<Shown> {
    let entry = await this.find(key);
    for (let tries = 1; ; tries++) {
      const position = await this.engine.position();
      const again = await this.find(key);
      if (again?.etag === entry?.etag || tries === MAX_READS) {
        if (entry) await writePaced(this.response, snapshotEvent(entry));
        yield { upTo: END, position };
        return;
      }
      entry = again;
    }
  }

  /** Returns the entry under `key`; a damaged one is left out of the snapshot. */
  private async find(key: string): Promise<Entry | undefined> {
    try {
      return await this.engine.get(key);
    } catch (error) {
      if (error instanceof DatabaseError && error.code === 'corrupt') return undefined;
      throw error;
    }
  }

  private async *showRange(prefix: string): AsyncIterable<Shown> {
    let after: string | undefined;
    do {
      const query = { prefix, after, limit: PAGE_ITEMS, values: true, maxBytes: PAGE_BYTES };
      await giveWay();
      const { items, next, position } = await this.engine.range(query);
      if (items.length > 0)
        await writePaced(this.response, items.map((item) => snapshotEvent(item as Entry)).join(''));
      yield { upTo: next, position };
      after = next;
    } while (after !== undefined);
  }

  /** Reads the log to its end, leaving out what has been shown. Returns false if the log no longer reaches back so far. */
  private async catchUp(snapshot?: Snapshot): Promise<boolean> {
    for (;;) {
      // Many may come at once: those who were cut off, or whose server was started again.
      await giveWay();
      const page = await this.hub.changes(this.engine, this.position, this.targets);
      if (!page) return false;
      const news = page.changes.filter((change) => this.isNews(change, snapshot));
      // An id says that all before it has been told, which is not so within a snapshot.
      const withIds = snapshot === undefined;
      if (news.length > 0) await writePaced(this.response, this.encode(news, withIds));
      this.position = page.position;
      if (page.changes.length === 0) return true;
    }
  }

  /** Joins the hub without a gap. Returns false if the log no longer reaches back so far. */
  private async goLive(): Promise<boolean> {
    const leave = this.hub.join(this.targets, this, this.namespace);
    this.onGone(leave);
    await this.hub.follow();
    do {
      this.missed = false;
      if (this.response.destroyed) return true;
      if (!(await this.catchUp())) {
        leave();
        return false;
      }
    } while (this.missed);
    if (this.response.destroyed) return true;
    this.live = true;
    this.write(Buffer.from(readyEvent(this.position)));
    return true;
  }

  private encode(changes: readonly Change[], withIds = true): string {
    const { totalOrder } = this.engine.capabilities;
    return changes.map((change) => changeEvent(change, totalOrder && withIds)).join('');
  }

  /** Returns whether a change concerns this client, and its snapshot has neither shown it nor will. */
  private isNews(change: Change, snapshot: Snapshot | undefined): boolean {
    const target = this.targets.find((each) => concerns(each, change.key));
    if (!target || !snapshot) return target !== undefined;
    const page = pageOf(change.key, snapshot.get(target) ?? []);
    return page !== undefined && !this.engine.covers(page.position, change);
  }

  private write(events: Buffer): void {
    const { response } = this;
    if (response.writableLength + events.length <= MAX_PENDING_BYTES || response.writableLength === 0) {
      response.write(events);
      // At once, or a thousand would be written together, after their deliveries, where nobody gives way.
      response.socket?.uncork();
    } else if (!response.destroyed) {
      cut.value++;
      response.destroy();
    }
  }
}

/** Returns the page that shows `key`, of pages in key order, which may be thousands; undefined if it is still to come. */
function pageOf(key: string, shown: readonly Shown[]): Shown | undefined {
  let [low, high] = [0, shown.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { upTo } = shown[middle]!;
    if (upTo === END || compareKeys(key, upTo) <= 0) high = middle;
    else low = middle + 1;
  }
  return shown[low];
}
