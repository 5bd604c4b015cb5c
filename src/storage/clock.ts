/**
 * The database's own time, which never runs backwards.
 *
 * Problem: expiry compares stored times with the wall clock, and the wall clock can be set. Design: now is the larger
 * of the wall clock and the last now plus the monotonic time since. Guarantee: a clock set back brings nothing expired
 * back to life and a TTL of 60 s still lasts 60 s; a jump forward is believed. Engines that persist store the highest
 * now with their commits and hand it to `raise` when they open.
 */
export class Clock {
  private base: number;
  private baseAt: number;

  constructor(
    private readonly wall: () => number = Date.now,
    private readonly monotonic: () => number = () => performance.now(),
  ) {
    this.base = this.wall();
    this.baseAt = this.monotonic();
  }

  /** Milliseconds since 1970, never less than an earlier answer. */
  now(): number {
    const elapsed = this.monotonic() - this.baseAt;
    const expected = this.base + Math.floor(elapsed);
    const wall = this.wall();
    if (wall <= expected) return expected;
    this.base = wall;
    this.baseAt += elapsed;
    return wall;
  }

  /** Time has been at least `time`: what an earlier process saw. */
  raise(time: number): void {
    if (time <= this.now()) return;
    this.base = time;
    this.baseAt = this.monotonic();
  }
}
