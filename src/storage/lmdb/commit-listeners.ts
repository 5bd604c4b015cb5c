import type { Store } from './store.js';

/** How often commits of other processes are looked for. */
const POLL_EVERY_MS = 10;

/** Tells listeners of every commit that has changed something, of this process and of those that share its store. */
export class CommitListeners {
  private readonly listeners = new Set<() => void>();
  private hasChanged = false;
  private poller: NodeJS.Timeout | undefined;
  /** The sequence of the store when it was polled last. */
  private polledSequence = 0;

  /** @param isShared whether other processes write to the store */
  constructor(
    private readonly store: Store,
    isShared: boolean,
  ) {
    if (isShared)
      this.poller = setInterval(() => store.faults.guard(() => this.poll()), POLL_EVERY_MS).unref();
  }

  /** Returns how to stop listening. */
  add(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Called inside a transaction that changes something. */
  noteChange(): void {
    this.hasChanged = true;
  }

  /** Called after a commit. */
  notify(): void {
    if (!this.hasChanged) return;
    this.hasChanged = false;
    this.tell();
  }

  stop(): void {
    clearInterval(this.poller);
  }

  private poll(): void {
    if (this.listeners.size === 0) return;
    this.store.freshen();
    const { sequence } = this.store.readHead();
    if (sequence === this.polledSequence) return;
    this.polledSequence = sequence;
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) this.store.faults.guard(listener);
  }
}
