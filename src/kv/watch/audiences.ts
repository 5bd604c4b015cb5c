import type { Change } from '../../storage/storage-engine.js';

/** What somebody follows: one key, or every key that begins with a prefix. */
export type WatchTarget = { readonly key: string } | { readonly prefix: string };

/** Somebody who is told of changes as they happen. */
export interface Watcher {
  /** Changes, and their events as encoded once for all who get the same. */
  deliver(events: Buffer, changes: readonly Change[]): void;
  /** A sign of life: everything up to `position` has been told. */
  heartbeat(event: Buffer, position: string): void;
  /** The server stops, or can tell no more: the client should come again. */
  end(): void;
}

/** Watchers that get the same events. */
export type Audience = Set<Watcher>;

/**
 * Who follows what. The audiences of a key are found by looking up the key, and its beginnings of those lengths that are
 * watched, so that finding does not slow down with the number of watchers.
 */
export class Audiences {
  private readonly byKey = new Map<string, Audience>();
  private readonly byPrefix = new Map<string, Audience>();
  /** How many watched prefixes have each length, UTF-16 units. */
  private readonly prefixLengths = new Map<number, number>();

  get isEmpty(): boolean {
    return this.byKey.size === 0 && this.byPrefix.size === 0;
  }

  /** Answers how to leave. */
  join(target: WatchTarget, watcher: Watcher): () => void {
    const audience = this.audienceOf(target);
    audience.add(watcher);
    return () => {
      audience.delete(watcher);
      if (audience.size === 0) this.forget(target, audience);
    };
  }

  /** Whom a change of `key` concerns. */
  *concernedBy(key: string): Iterable<Audience> {
    const exact = this.byKey.get(key);
    if (exact) yield exact;
    for (const length of this.prefixLengths.keys()) {
      const audience = length <= key.length && this.byPrefix.get(key.slice(0, length));
      if (audience) yield audience;
    }
  }

  all(): Audience[] {
    return [...this.byKey.values(), ...this.byPrefix.values()];
  }

  private audienceOf(target: WatchTarget): Audience {
    const [audiences, name] = this.placeOf(target);
    let audience = audiences.get(name);
    if (!audience) {
      audiences.set(name, (audience = new Set()));
      if ('prefix' in target) this.countLength(name.length, 1);
    }
    return audience;
  }

  private forget(target: WatchTarget, audience: Audience): void {
    const [audiences, name] = this.placeOf(target);
    if (audiences.get(name) !== audience) return;
    audiences.delete(name);
    if ('prefix' in target) this.countLength(name.length, -1);
  }

  private placeOf(target: WatchTarget): [Map<string, Audience>, string] {
    return 'key' in target ? [this.byKey, target.key] : [this.byPrefix, target.prefix];
  }

  private countLength(length: number, change: 1 | -1): void {
    const count = (this.prefixLengths.get(length) ?? 0) + change;
    if (count === 0) this.prefixLengths.delete(length);
    else this.prefixLengths.set(length, count);
  }
}
