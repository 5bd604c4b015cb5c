import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError, StartError } from '../errors.js';

const PATIENCE_MS = 60_000;
const AGAIN_AFTER_MS = 500;
const PASSING = new Set(['busy', 'unavailable', 'outcome-unknown']);

/** Has things done that may be done twice, over failovers and short outages of a database. */
export class Retry {
  /** Since when nothing has succeeded. */
  private failingSince: number | undefined;

  constructor(
    private readonly say: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Does `work` until it succeeds, for a minute.
   * @throws StartError that says what the database refuses, or that it does not answer; AbortError
   */
  async persist<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      this.signal.throwIfAborted();
      const begun = performance.now();
      try {
        const result = await work();
        this.failingSince = undefined;
        return result;
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        // What lasted for longer than that was no outage.
        if (performance.now() - begun > PATIENCE_MS) this.failingSince = undefined;
        const isFirst = this.failingSince === undefined;
        this.failingSince ??= performance.now();
        const tried = performance.now() - this.failingSince;
        if (!PASSING.has(error.code) || tried > PATIENCE_MS) throw unfinished(error.detail);
        if (isFirst) this.say(`A database does not answer; trying again for ${PATIENCE_MS / 1000} s.`);
        await pause(AGAIN_AFTER_MS, undefined, { signal: this.signal });
      }
    }
  }
}

/** The migration ends before it is done. */
export function unfinished(why: string): StartError {
  return new StartError(`${why} The copy is not finished; the same command goes on where this one stopped.`);
}
