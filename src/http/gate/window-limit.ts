import { WINDOW_SECONDS, type Allowance } from '../answer/rate-limit.js';

const WINDOW_MS = WINDOW_SECONDS * 1_000;
const MOST_KEYS = 100_000;

/**
 * Counts what each of many keys does in a minute.
 *
 * Problem: an attacker chooses the keys, such as addresses, so counting each of them would fill the memory. Design: all
 * windows begin and end together, so that a map is thrown away once a minute and nothing else is remembered. It holds
 * 100,000 keys, some 10 MB; keys that come later share one counter until the minute ends. Guarantee: a key that has been
 * counted keeps its own counter whatever others do, and all that share one have one limit together. So whoever has many
 * addresses never gets more than the limit for each. What he can do, with more than 100,000 of them within a minute, is
 * to use up the shared counter: addresses that are new in that minute are then refused until it ends. As with every fixed
 * window, one limit may come at its end and the next right after it.
 *
 * The clock is monotonic: setting the computer's clock neither ends a window nor makes it longer.
 */
export class WindowLimit {
  private counts = new Map<string, number>();
  /** What all keys did that found the map full. */
  private shared = 0;
  private window = 0;

  /** @param now a monotonic clock, milliseconds */
  constructor(private readonly now = () => performance.timeOrigin + performance.now()) {}

  /** Counts one more for `key` if that is within `limit`, and returns whether it is. */
  take(key: string, limit: number): Allowance {
    const before = this.look(key, limit);
    if (!before.allowed) return before;
    this.count(key);
    return { ...before, remaining: before.remaining - 1 };
  }

  /** Returns what `take` would allow, and counts nothing. */
  look(key: string, limit: number): Allowance {
    const now = this.now();
    this.enter(Math.floor(now / WINDOW_MS));
    const remaining = Math.max(0, limit - this.countOf(key));
    const seconds = Math.ceil((WINDOW_MS - (now % WINDOW_MS)) / 1_000);
    return { allowed: remaining > 0, limit, remaining, seconds };
  }

  private enter(window: number): void {
    if (window === this.window) return;
    this.window = window;
    this.counts = new Map();
    this.shared = 0;
  }

  private countOf(key: string): number {
    return this.counts.get(key) ?? (this.isFull ? this.shared : 0);
  }

  private count(key: string): void {
    const count = this.counts.get(key);
    if (count === undefined && this.isFull) this.shared++;
    else this.counts.set(key, (count ?? 0) + 1);
  }

  private get isFull(): boolean {
    return this.counts.size >= MOST_KEYS;
  }
}
