/** A jump of the wall clock that is reported is longer than this, milliseconds. */
export const JUMP_MS = 3_600_000;

/**
 * Tells the time of a database, which never runs backwards.
 *
 * Problem: expiry compares stored times with the wall clock, and a user may set the wall clock. Design: the time is
 * the larger of the wall clock and the last time plus the monotonic time since. Guarantee: a clock that is set back
 * brings no expired entry back, and a TTL of 60 s still lasts 60 s. A jump forward is taken over, and reported. Durable
 * engines store the highest time with their commits and pass it to `raise` when they open.
 */
export class Clock {
  /** Receives how far the wall clock has jumped forward, milliseconds, if that is more than an hour. */
  onJump: (milliseconds: number) => void = () => undefined;
  private base: number;
  private baseAt: number;

  constructor(
    private readonly wall: () => number = Date.now,
    private readonly monotonic: () => number = () => performance.now(),
  ) {
    this.base = this.wall();
    this.baseAt = this.monotonic();
  }

  /** Returns milliseconds since 1970, never less than it returned before. */
  now(): number {
    const elapsed = this.monotonic() - this.baseAt;
    const expected = this.base + Math.floor(elapsed);
    const wall = this.wall();
    if (wall <= expected) return expected;
    this.base = wall;
    this.baseAt += elapsed;
    if (wall - expected > JUMP_MS) this.onJump(wall - expected);
    return wall;
  }

  /** Moves the time forward to `time`, which an earlier process has seen. */
  raise(time: number): void {
    if (time <= this.now()) return;
    this.base = time;
    this.baseAt = this.monotonic();
  }
}
