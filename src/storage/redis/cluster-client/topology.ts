import { setTimeout as pause } from 'node:timers/promises';
import { Connection, type ConnectionOptions } from './connection.js';
import { formatHostPort, parseHostPort, type HostPort, type RedisUrl } from './redis-url.js';
import { SLOT_COUNT } from './slots.js';

const START_TIMEOUT_MS = 5_000;
/** When every connection has failed already. */
const REFUSED_TIMEOUT_MS = 1_000;
const POLL_MS = 20;
const MIN_REFRESH_INTERVAL_MS = 200;
const SLOTS_TIMEOUT_MS = 1_000;
const NOT_ALLOWED = /^(?:WRONGPASS|NOAUTH|NOPERM)/;

/**
 * The servers, and which of them has which slot.
 *
 * Design: one connection to each server, and a table of slots, which is read again when a server does not respond or
 * reports that a slot has moved. The table comes from any server that responds, a random one each time, because a server
 * that is cut off from the others does not know that its table is old. Slots that a table leaves out keep their owner.
 */
export class Topology {
  private readonly connections = new Map<string, Connection>();
  private owners: (Connection | undefined)[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedAt = -Infinity;
  private closed = false;

  constructor(
    private readonly url: RedisUrl,
    private readonly options: ConnectionOptions,
    /** Called when slots have moved to other servers. */
    private readonly onMoved: () => void,
  ) {
    const seeds = url.seeds.map((seed) => this.connectionTo(seed));
    if (!url.cluster) this.owners = Array.from({ length: SLOT_COUNT }, () => seeds[0]);
  }

  ownerOf(slot: number): Connection | undefined {
    return this.owners[slot];
  }

  primaries(): Connection[] {
    return [...new Set(this.owners)].filter((owner) => owner !== undefined);
  }

  /** The primary whose clock is in the middle of all; undefined until one has said its time. */
  medianServer(): Connection | undefined {
    const known = this.primaries().filter(({ clock }) => clock.now() !== undefined);
    known.sort((a, b) => a.clock.now()! - b.clock.now()!);
    return known[Math.floor((known.length - 1) / 2)];
  }

  /** How many slots have no known server. */
  unassignedSlots(): number {
    return SLOT_COUNT - this.owners.filter((owner) => owner !== undefined).length;
  }

  /** Waits until one of `candidates`, by default of all, is connected. @throws the error of one that is not */
  async waitUntilReady(candidates?: readonly Connection[]): Promise<Connection> {
    const start = performance.now();
    for (;;) {
      const all = candidates ?? [...this.connections.values()];
      const ready = all.find((connection) => connection.isReady);
      if (ready) return ready;
      const errors = all.map(({ lastError }) => lastError);
      const fatal = errors.find((error) => error && NOT_ALLOWED.test(error.message));
      if (fatal) throw fatal;
      const timeout = errors.every(Boolean) ? REFUSED_TIMEOUT_MS : START_TIMEOUT_MS;
      if (performance.now() - start > timeout) throw errors.find(Boolean) ?? new Error('no answer');
      await pause(POLL_MS);
    }
  }

  /** Reads the table of slots again; callers at the same time share one read. */
  async refresh(): Promise<void> {
    if (!this.url.cluster || this.closed) return;
    this.refreshing ??= this.readSlots().finally(() => (this.refreshing = undefined));
    await this.refreshing;
  }

  /** Starts a refresh, unless one has started just now: many commands fail at once. */
  refreshSoon(): void {
    if (performance.now() - this.refreshedAt < MIN_REFRESH_INTERVAL_MS) return;
    this.refreshedAt = performance.now();
    this.refresh().catch(() => undefined);
  }

  /** The server that `from` names in a redirection. */
  redirectionTarget(from: Connection, endpoint: string): Connection {
    const colon = endpoint.lastIndexOf(':');
    const host = hostOf(endpoint.slice(0, colon), from.address);
    return this.connectionTo(parseHostPort(endpoint) ?? { host, port: Number(endpoint.slice(colon + 1)) });
  }

  moveSlot(slot: number, to: Connection): void {
    this.owners[slot] = to;
    this.onMoved();
    this.refreshSoon();
  }

  close(): void {
    this.closed = true;
    for (const connection of this.connections.values()) connection.close();
  }

  private async readSlots(): Promise<void> {
    const ready = [...this.connections.values()].filter(({ isReady, isAway }) => isReady && !isAway);
    const first = Math.floor(Math.random() * ready.length);
    for (const connection of [...ready.slice(first), ...ready.slice(0, first)]) {
      try {
        const deadline = performance.now() + SLOTS_TIMEOUT_MS;
        const ranges = (await connection.send(['CLUSTER', 'SLOTS'], deadline)) as SlotRange[];
        if (ranges.length > 0) return this.assign(ranges, connection.address);
      } catch {
        // the next one may know
      }
    }
  }

  private assign(ranges: readonly SlotRange[], from: HostPort): void {
    const owners = [...this.owners];
    const named = new Set<Connection>();
    for (const [first, last, ...servers] of ranges) {
      const connections = servers.map(([host, port]) =>
        this.connectionTo({ host: hostOf(host?.toString() ?? '', from), port }),
      );
      const [primary, ...replicas] = connections;
      for (let slot = first; slot <= last; slot++) owners[slot] = primary;
      if (primary) primary.replicas = replicas;
      for (const replica of replicas) replica.replicas = undefined;
      // Replicas too: when a primary is gone, they have the next table.
      for (const each of connections) named.add(each);
    }
    const moved = Array.from({ length: SLOT_COUNT }).some((_, slot) => owners[slot] !== this.owners[slot]);
    this.owners = owners;
    this.closeAllBut(new Set([...named, ...this.primaries()]));
    if (moved) this.onMoved();
  }

  private closeAllBut(needed: ReadonlySet<Connection>): void {
    const seeds = new Set(this.url.seeds.map(formatHostPort));
    for (const [name, connection] of this.connections) {
      if (needed.has(connection) || seeds.has(name)) continue;
      this.connections.delete(name);
      connection.closeWhenIdle();
    }
  }

  private connectionTo(address: HostPort): Connection {
    const name = formatHostPort(address);
    let connection = this.connections.get(name);
    if (!connection) {
      this.connections.set(name, (connection = new Connection(this.url, address, this.options)));
    }
    return connection;
  }
}

/** An element of the reply of CLUSTER SLOTS: the primary comes first. */
type SlotRange = [
  first: number,
  last: number,
  ...servers: [host: Buffer | null, port: number, ...rest: unknown[]][],
];

/** The host that a server names: none, or `?`, is its own (cluster-preferred-endpoint-type). */
function hostOf(named: string, from: HostPort): string {
  return named === '' || named === '?' ? from.host : named;
}
