import type { Connection } from './cluster-client/connection.js';
import type { Partition } from './partitions.js';
import type { RedisStore } from './store.js';

const RESUBSCRIBE_AFTER_MS = 500;

interface Subscription {
  readonly partitions: readonly Partition[];
  readonly unsubscribe: () => void;
}

/**
 * Subscribes to the channels of the partitions, on which every script that changes something publishes its last tag.
 *
 * A channel belongs to a slot (sharded publish and subscribe, Redis 7), so each primary gets one connection that subscribes
 * to the channels of its partitions. When a subscription ends, or slots move, those that no longer fit are replaced half a
 * second later. Messages are hints: a lost one is made good when the engine reads all last tags, once a second.
 */
export class ChangeNotifications {
  private readonly subscriptions = new Map<Connection, Subscription>();
  private timer: NodeJS.Timeout | undefined;
  private closed = true;

  constructor(
    private readonly store: RedisStore,
    private readonly onTag: (partition: Partition, tag: string) => void,
  ) {}

  open(): void {
    this.closed = false;
    this.subscribe();
  }

  /** Adapts the subscriptions to the slots, a little later. */
  resubscribe(): void {
    if (this.closed) return;
    this.timer ??= setTimeout(() => this.subscribe(), RESUBSCRIBE_AFTER_MS).unref();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const { unsubscribe } of this.subscriptions.values()) unsubscribe();
    this.subscriptions.clear();
  }

  private subscribe(): void {
    this.timer = undefined;
    const wanted = this.partitionsByPrimary();
    for (const [primary, { partitions, unsubscribe }] of this.subscriptions) {
      if (isSame(partitions, wanted.get(primary) ?? [])) continue;
      unsubscribe();
      this.subscriptions.delete(primary);
    }
    for (const [primary, partitions] of wanted) {
      if (!this.subscriptions.has(primary)) this.subscribeTo(primary, partitions);
    }
  }

  private subscribeTo(primary: Connection, partitions: readonly Partition[]): void {
    const byChannel = new Map(partitions.map((partition) => [this.store.channelOf(partition), partition]));
    const unsubscribe = primary.subscribe(
      [...byChannel.keys()],
      (channel, tag) => this.onTag(byChannel.get(channel)!, tag),
      () => {
        this.subscriptions.delete(primary);
        this.resubscribe();
      },
    );
    this.subscriptions.set(primary, { partitions, unsubscribe });
  }

  private partitionsByPrimary(): Map<Connection, Partition[]> {
    const groups = new Map<Connection, Partition[]>();
    for (const partition of this.store.partitions.all) {
      const primary = this.store.client.topology.ownerOf(partition.slot);
      if (!primary) continue;
      const group = groups.get(primary);
      if (group) group.push(partition);
      else groups.set(primary, [partition]);
    }
    return groups;
  }
}

function isSame(some: readonly Partition[], others: readonly Partition[]): boolean {
  return some.length === others.length && some.every((partition, i) => partition === others[i]);
}
