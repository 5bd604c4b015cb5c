import type { Connection } from './connection.js';
import type { RedisDatabase } from './database.js';
import type { Partition } from './layout.js';

const RENEW_AFTER_MS = 500;

/**
 * Listens to the partitions' own channels, on which every script that changes something publishes its last tag.
 *
 * A channel lives where its slot does (sharded publish and subscribe, Redis 7), so that each primary is listened to on a
 * connection of its own for the partitions it has. When one of them ends, or slots move, all are made anew: messages are
 * only hints, and what is missed is found by the look at all partitions once a second.
 */
export class WakeUps {
  private stops: (() => void)[] = [];
  private renewing: NodeJS.Timeout | undefined;
  private closed = true;
  /** Tells what an earlier renewal has set going from the present one. */
  private round = 0;

  constructor(
    private readonly database: RedisDatabase,
    private readonly heard: (partition: Partition, tag: string) => void,
  ) {}

  /** Begins to listen, or does so anew. */
  renew(): void {
    this.closed = false;
    this.renewing ??= setTimeout(
      () => void this.listen(),
      this.stops.length === 0 ? 0 : RENEW_AFTER_MS,
    ).unref();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.renewing);
    this.renewing = undefined;
    this.stopAll();
  }

  private async listen(): Promise<void> {
    this.stopAll();
    const round = ++this.round;
    this.renewing = undefined;
    const gone = () => {
      if (!this.closed && round === this.round) this.renew();
    };
    for (const [connection, partitions] of this.byPrimary()) {
      const byChannel = new Map(partitions.map((partition) => [partition.state, partition]));
      try {
        const stop = await connection.subscribe(
          [...byChannel.keys()],
          (channel, tag) => this.heard(byChannel.get(channel)!, tag),
          gone,
        );
        if (this.closed || round !== this.round) return stop();
        this.stops.push(stop);
      } catch {
        gone();
      }
    }
  }

  private byPrimary(): Map<Connection, Partition[]> {
    const groups = new Map<Connection, Partition[]>();
    for (const partition of this.database.layout.partitions) {
      const owner = this.database.nodes.ownerOf(partition.slot);
      if (!owner) continue;
      const group = groups.get(owner);
      if (group) group.push(partition);
      else groups.set(owner, [partition]);
    }
    return groups;
  }

  private stopAll(): void {
    for (const stop of this.stops) stop();
    this.stops = [];
  }
}
