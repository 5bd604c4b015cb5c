/** A server that seems to be this much behind itself has been set back, milliseconds; less is how long its reply took. */
const SET_BACK_MS = 1_000;
/** A difference to the clock of this computer that is told, milliseconds. */
const MAX_SKEW_MS = 1_000;

/**
 * Tells the time of one server, from what it says about once a second.
 *
 * Problem: Pigeonhole servers must agree on the time, and a wrong clock of one of them must not end everybody's entries.
 * Design: only the clocks of the database servers count; between two replies of one, the monotonic clock of this process
 * does. Guarantee: `now` follows the server, at most the duration of a reply behind it, and does not go back with a clock
 * that is set back.
 */
export class ServerClock {
  private said: Sample | undefined;
  private base: Sample | undefined;

  /** @param monotonic returns milliseconds, from any start */
  constructor(private readonly monotonic: () => number) {}

  /** The server's time, milliseconds since 1970; undefined until it has said it. */
  now(): number | undefined {
    return this.base && this.since(this.base);
  }

  /** What the server's own clock will show when that of `performance` shows `deadline`; undefined until it has said it. */
  timeAt(deadline: number): number | undefined {
    return this.said && this.since(this.said) + Math.floor(deadline - performance.now());
  }

  /** Takes over what the server's clock has shown just now. */
  learn(time: number): void {
    this.said = { time, at: this.monotonic() };
    const expected = this.now() ?? -Infinity;
    if (expected - time < SET_BACK_MS) this.base = this.said;
  }

  /** Moves `now` forward to a time that the server has seen. */
  raise(time: number): void {
    if (time > (this.now() ?? -Infinity)) this.base = { time, at: this.monotonic() };
  }

  /** Says in a sentence how the server's clock differs from this computer's; undefined if it does not. */
  skew(): string | undefined {
    const by = (this.now() ?? Date.now()) - Date.now();
    if (Math.abs(by) <= MAX_SKEW_MS) return undefined;
    const side = by > 0 ? 'ahead of' : 'behind';
    return `its clock is ${Math.round(Math.abs(by) / 1000)} s ${side} this computer's. Redis's own decides when entries end.`;
  }

  private since({ time, at }: Sample): number {
    return time + Math.floor(this.monotonic() - at);
  }
}

interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** When that was, on the monotonic clock. */
  readonly at: number;
}
