import type { Connection } from './cluster-client/connection.js';
import type { RedisStore } from './store.js';
import type { Partition } from './partitions.js';

const RENEW_AFTER_MS = 500;

/** What is heard of one primary. */
interface Subscription {
  readonly partitions: readonly Partition[];
  readonly stop: () => void;
}

/**
 * Listens to the partitions' own channels, on which every script that changes something publishes its last tag.
 *
 * A channel lives where its slot does (sharded publish and subscribe, Redis 7), so that each primary is listened to on a
 * connection of its own for the partitions it has. When one of them ends, or slots move, what no longer fits is made anew
 * half a second later: messages are only hints, and what is missed is found by the look at all partitions once a second.
 */
export class WakeUps {
  private readonly subscriptions = new Map<Connection, Subscription>();
  private renewing: NodeJS.Timeout | undefined;
  private closed = true;

  constructor(
    private readonly database: RedisStore,
    private readonly heard: (partition: Partition, tag: string) => void,
  ) {}

  open(): void {
    this.closed = false;
    this.listen();
  }

  /** Looks again, a little later, whom to listen to. */
  renew(): void {
    if (this.closed) return;
    this.renewing ??= setTimeout(() => this.listen(), RENEW_AFTER_MS).unref();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.renewing);
    this.renewing = undefined;
    for (const { stop } of this.subscriptions.values()) stop();
    this.subscriptions.clear();
  }

  private listen(): void {
    this.renewing = undefined;
    const wanted = this.byPrimary();
    for (const [primary, { partitions, stop }] of this.subscriptions) {
      if (isSame(partitions, wanted.get(primary) ?? [])) continue;
      stop();
      this.subscriptions.delete(primary);
    }
    for (const [primary, partitions] of wanted) {
      if (!this.subscriptions.has(primary)) this.subscribe(primary, partitions);
    }
  }

  private subscribe(primary: Connection, partitions: readonly Partition[]): void {
    const byChannel = new Map(partitions.map((partition) => [this.database.channelOf(partition), partition]));
    const stop = primary.subscribe(
      [...byChannel.keys()],
      (channel, tag) => this.heard(byChannel.get(channel)!, tag),
      () => {
        this.subscriptions.delete(primary);
        this.renew();
      },
    );
    this.subscriptions.set(primary, { partitions, stop });
  }

  private byPrimary(): Map<Connection, Partition[]> {
    const groups = new Map<Connection, Partition[]>();
    for (const partition of this.database.layout.partitions) {
      const owner = this.database.nodes.topology.ownerOf(partition.slot);
      if (!owner) continue;
      const group = groups.get(owner);
      if (group) group.push(partition);
      else groups.set(owner, [partition]);
    }
    return groups;
  }
}

function isSame(some: readonly Partition[], others: readonly Partition[]): boolean {
  return some.length === others.length && some.every((partition, i) => partition === others[i]);
}
