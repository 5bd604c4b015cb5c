import { DatabaseError } from '../../errors.js';
import type { Change } from '../storage-engine.js';
import { ChangeNotifications } from './change-notifications.js';
import type { Partition } from './partitions.js';
import { decodePosition, encodePosition, offsetAfter, sequenceOf, type Offset } from './position.js';
import { decodeHeader } from './record.js';
import { CHANGES } from './scripts.js';
import type { RedisStore } from './store.js';

const READ_BYTES = 256 * 1024;

/**
 * The change logs of all partitions as one.
 *
 * Problem: each partition's log is a stream of its own, and reading hundreds of streams after every change would cost more
 * than the changes. Design: this server remembers the last tag of each partition, from its own writes, from the messages
 * that scripts publish, and from reading all of them once a second, because messages can get lost. It reads only partitions
 * that have moved past a reader's position. Guarantee: a position that `position` returns, and every change that is read
 * after one, is complete as far as this server knew at the call; nobody gets less than what this server has read already.
 */
export class RedisChangeLog {
  /** The last known tag of each partition; empty before its first change. */
  private readonly tags: string[];
  private readonly listeners = new Set<() => void>();
  private readonly notifications: ChangeNotifications;
  private notifying = false;
  /** Partitions with changes that could not be read. */
  private readonly unread = new Set<Partition>();
  /** The last position that was decoded: a reader asks for the same one with each of many changes. */
  private decoded: { position: string; offsets: readonly Offset[] | undefined } | undefined;

  constructor(private readonly store: RedisStore) {
    this.tags = store.partitions.all.map(() => '');
    const advance = (partition: Partition, tag: string) => this.advance(partition, tag);
    this.notifications = new ChangeNotifications(store, advance);
    store.onWrite = advance;
  }

  async position(): Promise<string> {
    await this.refreshAll();
    return encodePosition(this.store.epoch, this.tags.map(offsetAfter));
  }

  async changes(position: string): Promise<Change[] | undefined> {
    const { epoch, partitions } = this.store;
    const offsets = this.decode(position);
    if (!offsets) return undefined;
    if (this.listeners.size === 0) await this.refreshAll();
    const moved = partitions.all.filter(({ id }) => !isSame(offsets[id]!, offsetAfter(this.tags[id]!)));
    const parts = await this.reachable(moved, (partition) =>
      this.read(partition, offsets[partition.id]!),
    );
    if (parts.includes(undefined)) return undefined;
    return withPositions(epoch, offsets, parts.flat() as LoggedChange[]);
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

  /** Takes over the last tag of a partition that `read` returns. */
  async refresh(partition: Partition, read: () => Promise<string>): Promise<void> {
    const known = this.tags[partition.id];
    const tag = await read();
    // An older tag counts too, because a failover can undo the last changes; unless a newer one has come meanwhile.
    const isNews = tag !== known || this.unread.delete(partition);
    if (isNews && this.tags[partition.id] === known) this.setTag(partition, tag);
  }

  close(): void {
    this.notifications.close();
  }

  private decode(position: string): readonly Offset[] | undefined {
    if (this.decoded?.position !== position) {
      const { epoch, partitions } = this.store;
      this.decoded = { position, offsets: decodePosition(position, epoch, partitions.all.length) };
    }
    return this.decoded.offsets;
  }

  /** Reads all last tags. That of a partition that cannot be reached stays as it is known. */
  private async refreshAll(): Promise<void> {
    const { store } = this;
    await this.reachable(store.partitions.all, (partition) =>
      this.refresh(partition, () => store.lastTagOf(partition)),
    );
  }

  /**
   * Does `work` with some partitions, and returns what came of those that can be reached: one that is gone concerns nobody
   * who watches others. The rest is read later, when the partition is back. @throws DatabaseError if none can be reached
   */
  private async reachable<T>(
    partitions: readonly Partition[],
    work: (partition: Partition) => Promise<T>,
  ): Promise<T[]> {
    const settled = await Promise.allSettled(partitions.map(work));
    const failed = settled.filter((each) => each.status === 'rejected');
    const serious = failed.find(({ reason }) => !isUnavailable(reason));
    if (serious || failed.length === this.store.partitions.all.length) throw (serious ?? failed[0]!).reason;
    for (const [i, { status }] of settled.entries()) if (status === 'rejected') this.unread.add(partitions[i]!);
    return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  /** Takes over a tag, unless a newer one is known: messages may come late. */
  private advance(partition: Partition, tag: string): void {
    const { sequence } = offsetAfter(this.tags[partition.id]!);
    if (tag !== '' && sequenceOf(tag) > sequence) this.setTag(partition, tag);
  }

  private setTag({ id }: Partition, tag: string): void {
    this.tags[id] = tag;
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
    this.advance(partition, tag.toString('latin1'));
    return changes.map((fields) => decodeChange(partition, fields));
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === 'unavailable';
}

type LoggedChange = Omit<Change, 'position'> & { readonly partition: number };

/**
 * Decodes a line of the log, in the order in which scripts/common-write.lua writes it: the kind, the key, and either the tag
 * of a removal (e), or the header of a put (h) with its value (v) or the value's size (s).
 */
function decodeChange({ id }: Partition, [, kind, , name, field, text, last, value]: Buffer[]): LoggedChange {
  const key = name!.toString();
  if (field!.toString('latin1') === 'e') {
    return {
      partition: id,
      kind: kind!.toString('latin1') as Change['kind'],
      key,
      etag: text!.toString('latin1'),
    };
  }
  const isWhole = last!.toString('latin1') === 'v';
  const entry = decodeHeader(key, text!, isWhole ? value!.length : Number(value!.toString('latin1')));
  return { partition: id, kind: 'put', key, etag: entry.etag, entry, value: isWhole ? value : undefined };
}

/** Adds to each change the position of a reader who has read up to it, which is computed on demand. */
function withPositions(epoch: number, start: readonly Offset[], changes: readonly LoggedChange[]): Change[] {
  return changes.map(({ partition: _partition, ...change }, index) => ({
    ...change,
    get position() {
      const offsets = [...start];
      for (const { partition, etag } of changes.slice(0, index + 1)) offsets[partition] = offsetAfter(etag);
      return encodePosition(epoch, offsets);
    },
  }));
}

function isSame(a: Offset, b: Offset): boolean {
  return a.sequence === b.sequence && a.random === b.random;
}
