import type { Change } from '../../storage/storage-engine.js';

/** What a watcher follows: one key, or every key that begins with a prefix. */
export type WatchTarget = { readonly key: string } | { readonly prefix: string };

/** Receives changes as they happen. */
export interface Watcher {
  /** Receives changes, and their events, which are encoded once for all who get the same. */
  deliver(events: Buffer, changes: readonly Change[]): void;
  /** Receives a sign of life: everything up to `position` has been delivered. */
  heartbeat(event: Buffer, position: string): void;
  /** Ends: the server stops or cannot follow the log, and the client should come again. */
  end(): void;
}

/** Watchers of one target: they get the same events. */
export type Audience = Set<Watcher>;

/**
 * Finds who watches a key: looks up the key, and each of its prefixes whose length is watched, so the cost does not grow
 * with the number of watchers.
 */
export class Audiences {
  private readonly byKey = new Map<string, Audience>();
  private readonly byPrefix = new Map<string, Audience>();
  /** Length of a prefix, UTF-16 units → how many watched prefixes have it. */
  private readonly prefixLengths = new Map<number, number>();

  get isEmpty(): boolean {
    return this.byKey.size === 0 && this.byPrefix.size === 0;
  }

  /** Adds `watcher` to those of `target`. Returns a function that removes it. */
  join(target: WatchTarget, watcher: Watcher): () => void {
    const audience = this.audienceOf(target);
    audience.add(watcher);
    return () => {
      audience.delete(watcher);
      if (audience.size === 0) this.forget(target, audience);
    };
  }

  /** Returns the audiences that a change of `key` concerns. */
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
    const [audiences, name] = this.slotOf(target);
    let audience = audiences.get(name);
    if (!audience) {
      audiences.set(name, (audience = new Set()));
      if ('prefix' in target) this.countLength(name.length, 1);
    }
    return audience;
  }

  private forget(target: WatchTarget, audience: Audience): void {
    const [audiences, name] = this.slotOf(target);
    if (audiences.get(name) !== audience) return;
    audiences.delete(name);
    if ('prefix' in target) this.countLength(name.length, -1);
  }

  private slotOf(target: WatchTarget): [Map<string, Audience>, string] {
    return 'key' in target ? [this.byKey, target.key] : [this.byPrefix, target.prefix];
  }

  private countLength(length: number, change: 1 | -1): void {
    const count = (this.prefixLengths.get(length) ?? 0) + change;
    if (count === 0) this.prefixLengths.delete(length);
    else this.prefixLengths.set(length, count);
  }
}
