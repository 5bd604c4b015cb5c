import { DatabaseError } from '../../errors.js';
import { LOOK_BACK_BYTES, recentChange, type RecentChange } from '../recent-change.js';
import type { Change, LogPage, WatchTarget } from '../storage-engine.js';
import { ChangeNotifications } from './change-notifications.js';
import { decodeChange, type LoggedChange } from './logged-change.js';
import type { Partition } from './partitions.js';
import { decodePosition, encodePosition, offsetAfter, sequenceOf, type Offset } from './position.js';
import { CHANGES, NEWEST } from './scripts.js';
import type { RedisStore } from './store.js';

const READ_BYTES = 256 * 1024;

/**
 * The change logs of all partitions as one.
 *
 * Problem: each partition's log is a stream of its own, and reading hundreds of streams after every change would cost more
 * than the changes. Design: a reader asks only the partitions that can have what it follows, and of those only the ones whose
 * last tag has moved past its position. Guarantee: a position that `position` returns, and every change that is read after
 * one, is complete as far as this server knew at the call; nobody gets less than what this server has read already.
 */
export class RedisChangeLog {
  private readonly listeners = new Set<() => void>();
  private readonly notifications: ChangeNotifications;
  private notifying = false;
  /** Whether all tags were read once: without, no position can be understood. */
  private informed = false;
  /** The last position that was decoded: a reader asks for the same one with each of many changes. */
  private decoded: { position: string; offsets: readonly Offset[] | undefined } | undefined;

  /** The partitions of targets that were asked for before. */
  private readonly concerned = new WeakMap<readonly WatchTarget[], ReadonlySet<Partition>>();

  constructor(private readonly store: RedisStore) {
    const { lastTags } = store;
    this.notifications = new ChangeNotifications(store, (partition, tag) => lastTags.advance(partition, tag));
    lastTags.onChange = () => this.notify();
  }

  async position(): Promise<string> {
    const { lastTags, partitions, epoch } = this.store;
    await this.refresh(partitions.all);
    return encodePosition(epoch, lastTags.all().map(offsetAfter));
  }

  async changes(position: string, targets?: readonly WatchTarget[]): Promise<LogPage | undefined> {
    const { epoch, lastTags, partitions } = this.store;
    const offsets = await this.offsetsOf(position);
    if (!offsets) return undefined;
    const concerned = targets ? this.partitionsOf(targets) : new Set(partitions.all);
    if (this.listeners.size === 0) await this.refresh([...concerned]);
    // Before anything is read: somebody may begin to follow the other partitions meanwhile.
    const start = partitions.all.map((each) => {
      const offset = offsets[each.id]!;
      return concerned.has(each) ? offset : later(offset, offsetAfter(lastTags.of(each)));
    });
    const moved = [...concerned].filter((each) => !isSame(start[each.id]!, offsetAfter(lastTags.of(each))));
    const parts = await this.reachable(moved, (partition) => this.read(partition, start[partition.id]!));
    if (parts.includes(undefined)) return undefined;
    return pageOf(epoch, start, parts.flat() as LoggedChange[]);
  }

  /** Returns the newest changes of keys that go on after `prefix`, newest first. Partitions that cannot be reached are left out. */
  async newest(limit: number, prefix: string): Promise<RecentChange[]> {
    const partitions = this.store.partitions.ofPrefix(prefix);
    const bytes = String(Math.ceil(LOOK_BACK_BYTES / partitions.length));
    const parts = await this.reachable(partitions, async (partition) => {
      const lines = await this.store.query(partition, NEWEST, [String(limit), prefix, bytes]);
      return this.changesIn(partition, (lines as Buffer[][]).toReversed()).toReversed();
    });
    // Stable, so that the order of each partition stays.
    const newest = parts.flat().toSorted((a, b) => b.time - a.time);
    return newest.slice(0, limit).map(recentChange);
  }

  covers(position: string, change: Pick<Change, 'key' | 'etag'>): boolean {
    const offsets = this.decode(position);
    const { id } = this.store.partitions.ofKey(change.key);
    return offsets !== undefined && sequenceOf(change.etag) <= offsets[id]!.sequence;
  }

  includes(position: string, other: string): boolean {
    const offsets = this.decode(position);
    const others = this.decode(other);
    if (!offsets || !others) return false;
    return others.every(({ sequence }, i) => sequence <= offsets[i]!.sequence);
  }

  onChange(listener: () => void): () => void {
    if (this.listeners.size === 0) this.notifications.open();
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  /** Called when slots have moved to other servers. */
  onMoved(): void {
    this.notifications.resubscribe();
  }

  close(): void {
    this.notifications.close();
  }

  /** Returns the offsets of all partitions that a position stands for; undefined if it is none of this database. */
  async offsetsOf(position: string): Promise<readonly Offset[] | undefined> {
    if (!this.informed) await this.refresh(this.store.partitions.all);
    return this.decode(position);
  }

  private decode(position: string): readonly Offset[] | undefined {
    if (this.decoded?.position !== position) {
      const known = this.store.lastTags.all().map((tag) => offsetAfter(tag).sequence);
      this.decoded = { position, offsets: decodePosition(position, this.store.epoch, known) };
    }
    return this.decoded.offsets;
  }

  private partitionsOf(targets: readonly WatchTarget[]): ReadonlySet<Partition> {
    const { partitions } = this.store;
    let found = this.concerned.get(targets);
    if (!found) {
      found = new Set(
        targets.flatMap((each) =>
          'key' in each ? [partitions.ofKey(each.key)] : partitions.ofPrefix(each.prefix),
        ),
      );
      this.concerned.set(targets, found);
    }
    return found;
  }

  /** Reads the last tags of some partitions. That of one that cannot be reached stays as it is known. */
  private async refresh(partitions: readonly Partition[]): Promise<void> {
    const { store } = this;
    await this.reachable(partitions, (each) => store.lastTags.refresh(each, () => store.lastTagOf(each)));
    this.informed ||= partitions.length === store.partitions.all.length;
  }

  /**
   * Does `work` with some partitions, and returns what came of those that can be reached: one that is gone concerns nobody
   * who watches others. What is left is read when the partition is back. @throws DatabaseError if none can be reached
   */
  private async reachable<T>(
    partitions: readonly Partition[],
    work: (partition: Partition) => Promise<T>,
  ): Promise<T[]> {
    const settled = await Promise.allSettled(partitions.map(work));
    const failed = settled.filter((each) => each.status === 'rejected');
    const serious = failed.find(({ reason }) => !isUnavailable(reason));
    if (serious || failed.length === this.store.partitions.all.length) throw (serious ?? failed[0]!).reason;
    for (const [i, { status }] of settled.entries())
      if (status === 'rejected') this.store.lastTags.doubt(partitions[i]!);
    return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  private notify(): void {
    if (this.notifying || this.listeners.size === 0) return;
    this.notifying = true;
    setImmediate(() => {
      this.notifying = false;
      for (const listener of this.listeners) listener();
    });
  }

  private async read(
    partition: Partition,
    { sequence, random }: Offset,
  ): Promise<LoggedChange[] | undefined> {
    const reply = await this.store.query(partition, CHANGES, [String(sequence), random, String(READ_BYTES)]);
    if (!reply) return undefined;
    const [tag, changes] = reply as [Buffer, Buffer[][]];
    this.store.lastTags.advance(partition, tag.toString('latin1'));
    return this.changesIn(partition, changes);
  }

  /** @param lines of the log, oldest first */
  private changesIn(partition: Partition, lines: readonly Buffer[][]): LoggedChange[] {
    let time = this.store.epoch * 1000;
    return lines.map((fields) => {
      const change = decodeChange(partition, fields, time);
      time = change.time;
      return change;
    });
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === 'unavailable';
}

/** The positions are computed on demand. */
function pageOf(epoch: number, start: readonly Offset[], changes: readonly LoggedChange[]): LogPage {
  const positionAfter = (count: number) => {
    const offsets = [...start];
    for (const { partition, etag } of changes.slice(0, count)) offsets[partition] = offsetAfter(etag);
    return encodePosition(epoch, offsets);
  };
  return {
    changes: changes.map(({ partition: _partition, ...change }, index) => ({
      ...change,
      get position() {
        return positionAfter(index + 1);
      },
    })),
    get position() {
      return positionAfter(changes.length);
    },
  };
}

function later(a: Offset, b: Offset): Offset {
  return a.sequence > b.sequence ? a : b;
}

function isSame(a: Offset, b: Offset): boolean {
  return a.sequence === b.sequence && a.random === b.random;
}
