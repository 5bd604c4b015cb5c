import type { Change, WatchTarget } from '../../storage/storage-engine.js';

/** Returns whether a target has a key. */
export function concerns(target: WatchTarget, key: string): boolean {
  return 'key' in target ? key === target.key : key.startsWith(target.prefix);
}

/** Leaves out what another target has already, so that no key is in two. */
export function withoutOverlaps(targets: readonly WatchTarget[]): readonly WatchTarget[] {
  if (targets.length === 1) return targets;
  const kept: WatchTarget[] = [];
  // Short prefixes first, then keys: what comes later never has what came before.
  const rank = (target: WatchTarget) => ('key' in target ? Infinity : target.prefix.length);
  for (const target of targets.toSorted((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0))) {
    const name = 'key' in target ? target.key : target.prefix;
    if (!kept.some((other) => concerns(other, name))) kept.push(target);
  }
  return kept;
}

/** Returns a target of a namespace as one of the whole database. */
function within(namespace: string, target: WatchTarget): WatchTarget {
  return 'key' in target ? { key: namespace + target.key } : { prefix: namespace + target.prefix };
}

/** Receives changes as they happen. */
export interface Watcher {
  /** Receives changes, and their events, which are encoded once for all who get the same. */
  deliver(events: Buffer, changes: readonly Change[]): void;
  /** Receives a sign of life: everything up to `position` has been delivered. */
  heartbeat(event: Buffer, position: string): void;
  /** Ends: the server stops or cannot follow the log, and the client should come again. */
  end(): void;
}

/** Watchers of the same targets in the same namespace: they get the same events. */
export class Audience extends Set<Watcher> {
  /** @param namespace whose keys they see, without it; empty for the whole database */
  constructor(readonly namespace: string) {
    super();
  }
}

/**
 * Finds who watches a key: looks up the key, and each of its prefixes whose length is watched, so the cost does not grow
 * with the number of watchers. Who follows several targets is in one audience, so that its events keep their order.
 */
export class Audiences {
  private readonly byTargets = new Map<string, Audience>();
  private readonly byKey = new Map<string, Set<Audience>>();
  private readonly byPrefix = new Map<string, Set<Audience>>();
  /** Length of a prefix, UTF-16 units → how many watched prefixes have it. */
  private readonly prefixLengths = new Map<number, number>();
  private targetsOfAll: readonly WatchTarget[] | undefined;

  /** What all of them follow: the same array until that changes. */
  get targets(): readonly WatchTarget[] {
    return (this.targetsOfAll ??= [
      ...[...this.byKey.keys()].map((key) => ({ key })),
      ...[...this.byPrefix.keys()].map((prefix) => ({ prefix })),
    ]);
  }

  get isEmpty(): boolean {
    return this.byTargets.size === 0;
  }

  /** Adds `watcher` to those of `inside`, none of which overlap, of a namespace. Returns a function that removes it. */
  join(inside: readonly WatchTarget[], watcher: Watcher, namespace: string): () => void {
    const name = JSON.stringify([namespace, inside]);
    const targets = namespace === '' ? inside : inside.map((target) => within(namespace, target));
    const audience = this.byTargets.get(name) ?? this.open(name, targets, namespace);
    audience.add(watcher);
    return () => {
      audience.delete(watcher);
      if (audience.size > 0 || this.byTargets.get(name) !== audience) return;
      this.byTargets.delete(name);
      for (const target of targets) this.unlist(target, audience);
    };
  }

  /** Returns the audiences that a change of `key` concerns. */
  *concernedBy(key: string): Iterable<Audience> {
    yield* this.byKey.get(key) ?? [];
    for (const length of this.prefixLengths.keys()) {
      if (length <= key.length) yield* this.byPrefix.get(key.slice(0, length)) ?? [];
    }
  }

  all(): Audience[] {
    return [...this.byTargets.values()];
  }

  private open(name: string, targets: readonly WatchTarget[], namespace: string): Audience {
    const audience = new Audience(namespace);
    this.byTargets.set(name, audience);
    for (const target of targets) this.list(target, audience);
    return audience;
  }

  private list(target: WatchTarget, audience: Audience): void {
    const [listed, name] = this.slotOf(target);
    const audiences = listed.get(name);
    this.targetsOfAll = undefined;
    if (audiences) return void audiences.add(audience);
    listed.set(name, new Set([audience]));
    if ('prefix' in target) this.countLength(name.length, 1);
  }

  private unlist(target: WatchTarget, audience: Audience): void {
    const [listed, name] = this.slotOf(target);
    const audiences = listed.get(name)!;
    this.targetsOfAll = undefined;
    audiences.delete(audience);
    if (audiences.size > 0) return;
    listed.delete(name);
    if ('prefix' in target) this.countLength(name.length, -1);
  }

  private slotOf(target: WatchTarget): [Map<string, Set<Audience>>, string] {
    return 'key' in target ? [this.byKey, target.key] : [this.byPrefix, target.prefix];
  }

  private countLength(length: number, change: 1 | -1): void {
    const count = (this.prefixLengths.get(length) ?? 0) + change;
    if (count === 0) this.prefixLengths.delete(length);
    else this.prefixLengths.set(length, count);
  }
}
