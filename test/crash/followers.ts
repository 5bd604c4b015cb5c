import { setTimeout as pause } from 'node:timers/promises';
import { EventStream, toldOf, type SentEvent } from '../support/events.js';
import type { Random } from '../support/random.js';

const MAX_CONNECTED_MS = 400;
const MIN_CONNECTED_MS = 20;
const RECONNECT_MS = 20;
/** The key of the last write; a follower that has received it ends. */
export const LAST_KEY = 'last';

/** What a follower has received since a start or a reset: a snapshot, then changes in the order of their arrival. */
interface Stretch {
  /** Key → tag. */
  readonly snapshot: Map<string, string>;
  readonly changes: { readonly id: string; readonly kind: string; readonly key: string }[];
}

/** A client that watches all keys over one connection after the other, and resumes after the last event. */
export class Follower {
  readonly stretches: Stretch[] = [];
  connections = 0;
  resets = 0;
  /** Whether it has received the change of LAST_KEY. */
  isComplete = false;
  private id: string | undefined;
  private stream: EventStream | undefined;
  private stopped = false;

  /** @param betweenConnections what the follower waits for before it connects again */
  constructor(
    private readonly random: Random,
    private readonly betweenConnections: () => Promise<void> = () => Promise.resolve(),
  ) {}

  /** Runs until it is complete or stopped. */
  async run(port: () => number): Promise<void> {
    while (!this.isComplete && !this.stopped) {
      this.stream = await this.connect(port());
      if (!this.stream) {
        await pause(RECONNECT_MS);
        continue;
      }
      this.connections++;
      await Promise.race([this.stream.ended, pause(MIN_CONNECTED_MS + this.random.below(MAX_CONNECTED_MS))]);
      this.stream.close();
      await this.stream.ended;
      // Without an id it has nothing to come back with: a connection may have ended in its snapshot.
      if (!this.isComplete && this.id !== undefined) await this.betweenConnections();
    }
  }

  stop(): void {
    this.stopped = true;
    this.stream?.close();
  }

  /** Returns undefined if the server is down; the follower then tries again. */
  private connect(port: number): Promise<EventStream | undefined> {
    const { id } = this;
    if (id === undefined) this.startStretch();
    const headers = id === undefined ? {} : { 'Last-Event-ID': id };
    return EventStream.open(port, '/kv?prefix=', headers, (event) => this.take(event)).catch(() => undefined);
  }

  private startStretch(): void {
    this.stretches.push({ snapshot: new Map(), changes: [] });
  }

  private take(event: SentEvent): void {
    const { id, event: kind } = event;
    if (id !== undefined) this.id = id;
    if (kind === 'reset') {
      this.resets++;
      this.startStretch();
    } else if (kind === 'put' || kind === 'delete' || kind === 'expire') {
      const { key, etag } = toldOf(event);
      const { snapshot, changes } = this.stretches.at(-1)!;
      if (id === undefined) snapshot.set(key, etag);
      else changes.push({ id, kind, key });
      if (key === LAST_KEY) this.isComplete = true;
      if (this.isComplete) this.stream?.close();
    }
  }

  /** The follower's copy of the database, key → tag. */
  get state(): Map<string, string> {
    const { snapshot, changes } = this.stretches.at(-1)!;
    const state = new Map(snapshot);
    for (const { id, kind, key } of changes) {
      if (kind === 'put') state.set(key, id);
      else state.delete(key);
    }
    return state;
  }
}

/**
 * Returns how the changes that a follower received differ from `truth`, the ids of all changes in rising order. Every
 * stretch must have each of them from its first change to its last, in order.
 */
export function differencesOf({ stretches }: Follower, truth: readonly string[]) {
  const known = new Set(truth);
  const found = { duplicates: 0, missing: 0, disordered: 0, invented: 0 };
  for (const { changes } of stretches) {
    const ids = changes.map(({ id }) => id);
    if (ids.length === 0) continue;
    const received = new Set(ids);
    const [first, last] = [ids[0]!, ids.at(-1)!];
    found.duplicates += ids.length - received.size;
    found.missing += truth.filter((id) => id >= first && id <= last && !received.has(id)).length;
    found.disordered += ids.filter((id, i) => i > 0 && id < ids[i - 1]!).length;
    found.invented += ids.filter((id) => !known.has(id)).length;
  }
  return found;
}
