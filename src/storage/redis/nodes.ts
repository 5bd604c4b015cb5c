import { Connection, type Reply } from './connection.js';
import { outcomeUnknown, remedyFor, unavailable } from './failure.js';
import { SLOTS } from './layout.js';
import { nameOf, parseHost, type HostPort, type RedisAddress } from './redis-url.js';
import type { Script } from './scripts.js';

/** Within which a command is answered, one way or the other. */
const DEADLINE_MS = 5_000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const MAX_REDIRECTIONS = 8;
const REFRESH_AT_MOST_EVERY_MS = 200;
const REPLICATED_WITHIN_MS = 2_000;

/** Whether a command may be sent again when nobody knows whether it was done. */
export type Repeatable = 'repeatable' | 'once';

/** What is sent, and to the primary of which slot. */
export interface Call {
  readonly slot: number;
  readonly args: readonly (string | Buffer)[];
  /** Of a call by EVALSHA: what to load where it is not known. */
  readonly script?: Script;
  readonly repeatable: Repeatable;
  /** Whether it is a write, which waits for replicas if that was asked for. */
  readonly write?: boolean;
}

/**
 * The servers, and the way of a command to the one that has its slot.
 *
 * Design: a connection for each primary, and a table of slots that is read anew when a server says that a slot has moved, or
 * does not answer. A command that was refused, or never sent, is tried again with a growing, jittered pause until its
 * deadline of 5 s; so is one of unknown fate if it may be repeated. Guarantee: `unavailable` means that nothing was applied,
 * `outcome-unknown` that it may have been, and one of the two comes within 6 s whatever the cluster does. No redirection
 * and no text of the driver reaches a client.
 */
export class Nodes {
  private readonly connections = new Map<string, Connection>();
  private owners: (string | undefined)[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedAt = -Infinity;
  private closed = false;

  constructor(
    private readonly address: RedisAddress,
    /** How many replicas have to have a write before it is answered. */
    private readonly waitReplicas: number,
    /** Called when slots have other owners than before. */
    private readonly onMoved: () => void = () => undefined,
  ) {
    for (const seed of address.seeds) this.connectionTo(seed);
    if (!address.cluster) this.owners = Array.from({ length: SLOTS }, () => nameOf(address.seeds[0]!));
  }

  /** The connections to all primaries, one each. */
  primaries(): Connection[] {
    return [...new Set(this.owners)].flatMap((name) => this.connections.get(name ?? '') ?? []);
  }

  /** Any connection that works, or the error of one that does not. */
  async anyReady(): Promise<Connection> {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      const all = [...this.connections.values()];
      const ready = all.find((connection) => connection.isReady);
      if (ready) return ready;
      const failures = all.map(({ failure }) => failure);
      const fatal = failures.find((error) => error && /^(?:WRONGPASS|NOAUTH|NOPERM)/.test(error.message));
      const refused = failures.every((error) => error !== undefined);
      if (fatal) throw fatal;
      if (performance.now() > until || (refused && performance.now() > until - DEADLINE_MS + 1000)) {
        throw failures.find(Boolean) ?? new Error('no answer');
      }
      await pause(FIRST_PAUSE_MS);
    }
  }

  ownerOf(slot: number): Connection | undefined {
    return this.connections.get(this.owners[slot] ?? '');
  }

  /** Sends a command until it is answered. @throws DatabaseError, or an ErrorReply that speaks of the command itself */
  async run(call: Call): Promise<Reply> {
    let timer: NodeJS.Timeout | undefined;
    const attempt: Attempt = { over: false, lost: undefined, sent: false };
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        attempt.over = true;
        reject(
          call.write && (attempt.sent || attempt.lost) ? outcomeUnknown(attempt.lost) : this.unreachable(),
        );
      }, DEADLINE_MS);
    });
    const work = this.attempt(call, attempt);
    try {
      return await Promise.race([work, deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads anew who has which slot; once for all who ask meanwhile. */
  async refresh(): Promise<void> {
    if (!this.address.cluster || this.closed) return;
    this.refreshing ??= this.readSlots().finally(() => (this.refreshing = undefined));
    await this.refreshing;
  }

  close(): void {
    this.closed = true;
    for (const connection of this.connections.values()) connection.close();
  }

  private async attempt(call: Call, attempt: Attempt): Promise<Reply> {
    let redirections = 0;
    let wait = FIRST_PAUSE_MS;
    let asked: Connection | undefined;
    while (!attempt.over && !this.closed) {
      const connection = asked ?? this.ownerOf(call.slot);
      try {
        if (!connection) throw new NoOwner();
        attempt.sent = true;
        const reply = asked ? await asked.ask(call.args) : await connection.send(call.args);
        if (call.write && this.waitReplicas > 0) await this.replicate(connection);
        return reply;
      } catch (error) {
        attempt.sent = false;
        asked = undefined;
        const remedy = error instanceof NoOwner ? ({ kind: 'later' } as const) : remedyFor(error);
        switch (remedy.kind) {
          case 'final':
            throw remedy.error;
          case 'load':
            await this.load(connection!, call);
            continue;
          case 'ask':
          case 'moved': {
            if (++redirections > MAX_REDIRECTIONS) break;
            const target = this.learn(remedy.to, connection!);
            if (remedy.kind === 'ask') asked = target;
            else this.move(call.slot, target);
            continue;
          }
          case 'lost':
            if (call.repeatable === 'once') throw outcomeUnknown(error);
            attempt.lost = error as Error;
        }
        this.refreshSoon();
        await pause(wait * (0.5 + Math.random() / 2));
        wait = Math.min(LONGEST_PAUSE_MS, wait * 2);
      }
    }
    throw this.unreachable();
  }

  /** @throws DatabaseError, ErrorReply if the server will never take it; what may pass, the next call meets too */
  private async load(connection: Connection, { script }: Call): Promise<void> {
    try {
      await connection.send(['SCRIPT', 'LOAD', script!.source]);
    } catch (error) {
      const remedy = remedyFor(error);
      if (remedy.kind === 'final') throw remedy.error;
    }
  }

  private async replicate(connection: Connection): Promise<void> {
    let copies: number;
    try {
      copies = await connection.replicas(this.waitReplicas, REPLICATED_WITHIN_MS);
    } catch (error) {
      throw outcomeUnknown(error);
    }
    if (copies < this.waitReplicas) {
      throw outcomeUnknown(new Error(`${copies} of ${this.waitReplicas} replicas have the write`));
    }
  }

  private learn(name: string, from: Connection): Connection {
    const { host, port } = splitEndpoint(name, from.at);
    return this.connectionTo({ host, port });
  }

  private move(slot: number, to: Connection): void {
    this.owners[slot] = to.name;
    this.onMoved();
    this.refreshSoon();
  }

  private refreshSoon(): void {
    if (performance.now() - this.refreshedAt < REFRESH_AT_MOST_EVERY_MS) return;
    this.refreshedAt = performance.now();
    this.refresh().catch(() => undefined);
  }

  private async readSlots(): Promise<void> {
    for (const connection of this.connections.values()) {
      if (!connection.isReady) continue;
      try {
        const reply = (await within(1_000, connection.send(['CLUSTER', 'SLOTS']))) as SlotRange[];
        this.take(reply, connection.at);
        return;
      } catch {
        // the next one may know
      }
    }
  }

  private take(ranges: readonly SlotRange[], from: HostPort): void {
    const owners: (string | undefined)[] = Array.from({ length: SLOTS });
    const named = new Set<string>();
    for (const [first, last, ...servers] of ranges) {
      const [primary, ...replicas] = servers.map(([host, port]) => ({
        host: host?.toString() || from.host,
        port,
      }));
      owners.fill(this.connectionTo(primary!).name, first, last + 1);
      // Replicas are known by name only: they are where to ask when the primary is gone.
      for (const each of [primary!, ...replicas]) named.add(this.connectionTo(each).name);
    }
    const moved = owners.some((owner, slot) => owner !== this.owners[slot]);
    this.owners = owners;
    for (const [name, connection] of this.connections) {
      if (named.has(name) || this.isSeed(connection.at)) continue;
      this.connections.delete(name);
      connection.close();
    }
    if (moved) this.onMoved();
  }

  private isSeed(at: HostPort): boolean {
    return this.address.seeds.some((seed) => nameOf(seed) === nameOf(at));
  }

  private connectionTo(at: HostPort): Connection {
    const name = nameOf(at);
    let connection = this.connections.get(name);
    if (!connection) this.connections.set(name, (connection = new Connection(this.address, at)));
    return connection;
  }

  private unreachable(): Error {
    const failures = [...this.connections.values()].flatMap(({ name, failure }) =>
      failure ? [`${name}: ${failure.message}`] : [],
    );
    return unavailable('Redis does not answer at present.', new Error(failures.join('; ')));
  }
}

interface Attempt {
  over: boolean;
  /** Why nobody knows whether an earlier try was done. */
  lost: Error | undefined;
  /** Whether a try is under way. */
  sent: boolean;
}

/** No server has the slot at present. */
class NoOwner extends Error {}

type SlotRange = [
  first: number,
  last: number,
  ...servers: [host: Buffer | null, port: number, ...rest: unknown[]][],
];

/** A redirection may leave out the host: then it is the one that answered. */
function splitEndpoint(name: string, from: HostPort): HostPort {
  const colon = name.lastIndexOf(':');
  const host = name.slice(0, colon) || from.host;
  return parseHost(name) ?? { host, port: Number(name.slice(colon + 1)) };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('late')), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
