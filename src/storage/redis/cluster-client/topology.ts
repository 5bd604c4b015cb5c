import { setTimeout as pause } from 'node:timers/promises';
import { Connection, type ConnectionOptions } from './connection.js';
import { SLOTS } from './slots.js';
import { nameOf, parseHost, type HostPort, type RedisAddress } from './redis-url.js';

const START_WITHIN_MS = 5_000;
const REFUSED_WITHIN_MS = 1_000;
const LOOK_AGAIN_MS = 20;
const REFRESH_AT_MOST_EVERY_MS = 200;
const SLOTS_WITHIN_MS = 1_000;

/**
 * The servers, and which of them has which slot.
 *
 * Design: a connection to each server, and a table of slots that is read anew when a server says that a slot has moved, or
 * does not answer. The table comes from any server that answers, another one each time, because one that is cut off from the
 * others does not know that it is wrong. Slots that it leaves out keep their owner.
 */
export class Topology {
  private readonly connections = new Map<string, Connection>();
  private owners: (Connection | undefined)[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedAt = -Infinity;
  private closed = false;

  constructor(
    private readonly address: RedisAddress,
    private readonly options: ConnectionOptions,
    /** Called when slots have other owners than before. */
    private readonly onMoved: () => void,
  ) {
    const seeds = address.seeds.map((seed) => this.connectionTo(seed));
    if (!address.cluster) this.owners = Array.from({ length: SLOTS }, () => seeds[0]);
  }

  ownerOf(slot: number): Connection | undefined {
    return this.owners[slot];
  }

  /** The connections to all primaries, one each. */
  primaries(): Connection[] {
    return [...new Set(this.owners)].filter((owner) => owner !== undefined);
  }

  /** Any connection that works, of `some` or of all. @throws the error of one that does not */
  async anyReady(some?: readonly Connection[]): Promise<Connection> {
    const start = performance.now();
    for (;;) {
      const all = some ?? [...this.connections.values()];
      const ready = all.find((connection) => connection.isReady);
      if (ready) return ready;
      const failures = all.map(({ failure }) => failure);
      const fatal = failures.find((error) => error && /^(?:WRONGPASS|NOAUTH|NOPERM)/.test(error.message));
      if (fatal) throw fatal;
      const limit = failures.every(Boolean) ? REFUSED_WITHIN_MS : START_WITHIN_MS;
      if (performance.now() - start > limit) throw failures.find(Boolean) ?? new Error('no answer');
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Reads anew who has which slot; once for all who ask meanwhile. */
  async refresh(): Promise<void> {
    if (!this.address.cluster || this.closed) return;
    this.refreshing ??= this.readSlots().finally(() => (this.refreshing = undefined));
    await this.refreshing;
  }

  /** The same, without waiting for it, and not at every failure of many. */
  refreshSoon(): void {
    if (performance.now() - this.refreshedAt < REFRESH_AT_MOST_EVERY_MS) return;
    this.refreshedAt = performance.now();
    this.refresh().catch(() => undefined);
  }

  /** The server that `from` names in a redirection, where the host may be left out: then it is its own. */
  namedBy(from: Connection, endpoint: string): Connection {
    const colon = endpoint.lastIndexOf(':');
    const host = hostOf(endpoint.slice(0, colon), from.at);
    return this.connectionTo(parseHost(endpoint) ?? { host, port: Number(endpoint.slice(colon + 1)) });
  }

  /** A server says that `slot` has moved. */
  move(slot: number, to: Connection): void {
    this.owners[slot] = to;
    this.onMoved();
    this.refreshSoon();
  }

  close(): void {
    this.closed = true;
    for (const connection of this.connections.values()) connection.close();
  }

  private async readSlots(): Promise<void> {
    const ready = [...this.connections.values()].filter(({ isReady }) => isReady);
    const first = Math.floor(Math.random() * ready.length);
    for (const connection of [...ready.slice(first), ...ready.slice(0, first)]) {
      try {
        const due = performance.now() + SLOTS_WITHIN_MS;
        const ranges = (await connection.send(['CLUSTER', 'SLOTS'], due)) as SlotRange[];
        if (ranges.length > 0) return this.take(ranges, connection.at);
      } catch {
        // the next one may know
      }
    }
  }

  private take(ranges: readonly SlotRange[], from: HostPort): void {
    const owners = [...this.owners];
    const named = new Set<Connection>();
    for (const [first, last, ...servers] of ranges) {
      const connections = servers.map(([host, port]) =>
        this.connectionTo({ host: hostOf(host?.toString() ?? '', from), port }),
      );
      for (let slot = first; slot <= last; slot++) owners[slot] = connections[0];
      // Replicas are connected to because they are whom to ask when the primary is gone.
      for (const each of connections) named.add(each);
    }
    const moved = Array.from({ length: SLOTS }).some((_, slot) => owners[slot] !== this.owners[slot]);
    this.owners = owners;
    this.dismiss(new Set([...named, ...this.primaries()]));
    if (moved) this.onMoved();
  }

  private dismiss(needed: ReadonlySet<Connection>): void {
    const seeds = new Set(this.address.seeds.map(nameOf));
    for (const [name, connection] of this.connections) {
      if (needed.has(connection) || seeds.has(name)) continue;
      this.connections.delete(name);
      connection.retire();
    }
  }

  private connectionTo(at: HostPort): Connection {
    const name = nameOf(at);
    let connection = this.connections.get(name);
    if (!connection) {
      this.connections.set(name, (connection = new Connection(this.address, at, this.options)));
    }
    return connection;
  }
}

type SlotRange = [
  first: number,
  last: number,
  ...servers: [host: Buffer | null, port: number, ...rest: unknown[]][],
];

/** Nothing, or `?`, stands for the host of the one that says it (cluster-preferred-endpoint-type). */
function hostOf(said: string, from: HostPort): string {
  return said === '' || said === '?' ? from.host : said;
}
