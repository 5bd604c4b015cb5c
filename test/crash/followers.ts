import { setTimeout as pause } from 'node:timers/promises';
import { EventStream, toldOf, type SentEvent } from '../support/events.js';
import type { Random } from '../support/random.js';

const LONGEST_VISIT_MS = 400;
const SHORTEST_VISIT_MS = 20;
const CLOSED_MS = 20;
/** Writing this key tells every follower that no more is to come. */
export const LAST_KEY = 'last';

/** What a follower was told since it began anew: the snapshot, then changes in the order in which they came. */
interface Life {
  readonly shown: Map<string, string>;
  readonly changes: { readonly id: string; readonly kind: string; readonly key: string }[];
}

/** Somebody who follows everything over one connection after the other, and goes on by the id of the last event. */
export class Follower {
  readonly lives: Life[] = [];
  visits = 0;
  resets = 0;
  heardLast = false;
  private id: string | undefined;
  private stream: EventStream | undefined;
  private stopped = false;

  /** @param beAway what a follower does between two connections */
  constructor(
    private readonly random: Random,
    private readonly beAway: () => Promise<void> = () => Promise.resolve(),
  ) {}

  /** Runs until it has heard of LAST_KEY, or is told to stop. */
  async run(port: () => number): Promise<void> {
    while (!this.heardLast && !this.stopped) {
      this.stream = await this.connect(port());
      if (!this.stream) {
        await pause(CLOSED_MS);
        continue;
      }
      this.visits++;
      await Promise.race([this.stream.ended, pause(SHORTEST_VISIT_MS + this.random.below(LONGEST_VISIT_MS))]);
      this.stream.close();
      await this.stream.ended;
      if (!this.heardLast) await this.beAway();
    }
  }

  stop(): void {
    this.stopped = true;
    this.stream?.close();
  }

  /** A follower that is served no more by the time of a crash comes again. */
  private connect(port: number): Promise<EventStream | undefined> {
    const { id } = this;
    if (id === undefined) this.begin();
    const headers = id === undefined ? {} : { 'Last-Event-ID': id };
    return EventStream.open(port, '/kv?prefix=', headers, (event) => this.take(event)).catch(() => undefined);
  }

  private begin(): void {
    this.lives.push({ shown: new Map(), changes: [] });
  }

  private take(event: SentEvent): void {
    const { id, event: kind } = event;
    if (id !== undefined) this.id = id;
    if (kind === 'reset') {
      this.resets++;
      this.begin();
    } else if (kind === 'put' || kind === 'delete' || kind === 'expire') {
      const { key, etag } = toldOf(event);
      const { shown, changes } = this.lives.at(-1)!;
      if (id === undefined) shown.set(key, etag);
      else changes.push({ id, kind, key });
      if (key === LAST_KEY) this.heardLast = true;
      if (this.heardLast) this.stream?.close();
    }
  }

  /** Key → tag, as somebody has it who has applied everything of the last life. */
  get state(): Map<string, string> {
    const { shown, changes } = this.lives.at(-1)!;
    const state = new Map(shown);
    for (const { id, kind, key } of changes) {
      if (kind === 'put') state.set(key, id);
      else state.delete(key);
    }
    return state;
  }
}

/**
 * How what a follower was told differs from `truth`, the ids of changes in rising order. Every life must have each of them
 * from its first change to its last, in order.
 */
export function differencesOf({ lives }: Follower, truth: readonly string[]) {
  const known = new Set(truth);
  const found = { duplicates: 0, missing: 0, disordered: 0, invented: 0 };
  for (const { changes } of lives) {
    const ids = changes.map(({ id }) => id);
    if (ids.length === 0) continue;
    const told = new Set(ids);
    const [first, last] = [ids[0]!, ids.at(-1)!];
    found.duplicates += ids.length - told.size;
    found.missing += truth.filter((id) => id >= first && id <= last && !told.has(id)).length;
    found.disordered += ids.filter((id, i) => i > 0 && id < ids[i - 1]!).length;
    found.invented += ids.filter((id) => !known.has(id)).length;
  }
  return found;
}
