import type { ServerResponse } from 'node:http';
import { writePaced } from '../http/paced-writer.js';
import type { Entry } from '../storage/entry.js';
import type { Change, StorageEngine } from '../storage/storage-engine.js';
import { changeEvent, readyEvent, RESET, snapshotEvent } from './watch-events.js';
import type { Watcher, WatchHub, WatchTarget } from './watch-hub.js';

const PAGE_ITEMS = 500;
const PAGE_BYTES = 256 * 1024;
const MAX_PENDING_BYTES = 256 * 1024;
/** Read once the last page is out: a page shows every key up to its end. */
const REST = undefined;

/** What of the keys was read at which position, in key order; what follows the last was not read. */
interface Shown {
  readonly upTo: string | undefined;
  readonly position: string;
}

/**
 * One client that watches: a snapshot, what the log brought meanwhile, then live.
 *
 * Nothing is kept for a client in its snapshot but the position at which each page was read: what the log says afterwards
 * is left out if the page of that key shows it already. A client that does not read is cut off once 256 KiB wait for it; it
 * comes again with the id of the last event it has.
 */
export class WatchSession implements Watcher {
  /** The log has been read up to here for this client. */
  position = '';
  private live = false;
  /** Whether the hub has told something that this client, not yet live, has to read from the log. */
  private missed = false;
  /** Whether the hub may still be behind what this client has read by itself. */
  private ahead = true;

  constructor(
    private readonly engine: StorageEngine,
    private readonly hub: WatchHub,
    private readonly response: ServerResponse,
    private readonly target: WatchTarget,
  ) {}

  /** Runs until the client is live. `since` is where it wants to go on, `now`, or undefined for a snapshot. */
  async run(since: string | undefined): Promise<void> {
    if (since === 'now') this.position = await this.engine.position();
    else if (since === undefined || !(await this.resume(since))) await this.startAnew(since !== undefined);
    while (!(await this.goLive())) await this.startAnew(true);
  }

  deliver(events: Buffer, changes: readonly Change[]): void {
    if (!this.live) {
      this.missed = true;
    } else if (this.ahead) {
      const news = changes.filter((change) => !this.engine.covers(this.position, change));
      this.ahead = news.length < changes.length;
      if (news.length > 0) this.write(this.ahead ? Buffer.from(news.map(changeEvent).join('')) : events);
    } else {
      this.write(events);
    }
  }

  heartbeat(event: Buffer, position: string): void {
    // An id must never take the client back.
    if (this.live && this.engine.covers(position, this)) this.write(event);
  }

  end(): void {
    this.response.end();
  }

  /** Reads the log from `id`. Answers false if that cannot be done. */
  private async resume(id: string): Promise<boolean> {
    this.position = id;
    return this.catchUp([]);
  }

  private async startAnew(reset: boolean): Promise<void> {
    for (let resetting = reset; ; resetting = true) {
      if (resetting) await writePaced(this.response, RESET);
      this.position = await this.engine.position();
      const shown =
        'key' in this.target ? await this.showKey(this.target.key) : await this.showRange(this.target.prefix);
      // The log may have moved past a snapshot that took long.
      if (await this.catchUp(shown)) return;
    }
  }

  private async showKey(key: string): Promise<Shown[]> {
    const { position } = this;
    const entry = await this.engine.get(key);
    if (entry) await writePaced(this.response, snapshotEvent(entry));
    return [{ upTo: REST, position }];
  }

  private async showRange(prefix: string): Promise<Shown[]> {
    const shown: Shown[] = [];
    let after: string | undefined;
    do {
      const query = { prefix, after, limit: PAGE_ITEMS, values: true, maxBytes: PAGE_BYTES };
      const { items, next, position } = await this.engine.range(query);
      if (items.length > 0)
        await writePaced(this.response, items.map((item) => snapshotEvent(item as Entry)).join(''));
      shown.push({ upTo: next, position });
      after = next;
    } while (after !== undefined);
    return shown;
  }

  /** Reads the log from the position to its end, leaving out what has been shown. False if the log has moved past it. */
  private async catchUp(shown: readonly Shown[]): Promise<boolean> {
    for (;;) {
      const changes = await this.engine.changes(this.position);
      if (!changes) return false;
      if (changes.length === 0) return true;
      const news = changes.filter((change) => this.concerns(change) && !this.wasShown(change, shown));
      if (news.length > 0) await writePaced(this.response, news.map(changeEvent).join(''));
      this.position = changes.at(-1)!.position;
    }
  }

  /** Joins the hub where it misses nothing. False if the log has moved on meanwhile. */
  private async goLive(): Promise<boolean> {
    await this.hub.follow();
    const leave = this.hub.join(this.target, this);
    this.response.once('close', leave);
    do {
      this.missed = false;
      if (this.response.destroyed) return true;
      if (!(await this.catchUp([]))) {
        leave();
        return false;
      }
    } while (this.missed);
    this.live = true;
    this.write(Buffer.from(readyEvent(this.position)));
    return true;
  }

  private concerns({ key }: Change): boolean {
    return 'key' in this.target ? key === this.target.key : key.startsWith(this.target.prefix);
  }

  private wasShown(change: Change, shown: readonly Shown[]): boolean {
    const page = shown.find(
      ({ upTo }) => upTo === REST || Buffer.compare(Buffer.from(change.key), Buffer.from(upTo)) <= 0,
    );
    return page !== undefined && this.engine.covers(page.position, change);
  }

  private write(events: Buffer): void {
    const { response } = this;
    if (response.writableLength + events.length > MAX_PENDING_BYTES && response.writableLength > 0)
      response.destroy();
    else response.write(events);
  }
}
