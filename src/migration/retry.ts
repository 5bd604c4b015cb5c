import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError, StartError } from '../errors.js';

const GIVE_UP_AFTER_MS = 60_000;
const RETRY_AFTER_MS = 500;
const TRANSIENT = new Set(['busy', 'unavailable', 'outcome-unknown']);

/** Retries idempotent work across failovers and short outages of a database. */
export class Retry {
  /** When the outage began in which nothing has succeeded. */
  private failingSince: number | undefined;

  constructor(
    private readonly report: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Runs `work` until it succeeds, for a minute at most.
   * @throws StartError with the reason if the database refuses the work or does not answer; AbortError
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      this.signal.throwIfAborted();
      const start = performance.now();
      try {
        const result = await work();
        this.failingSince = undefined;
        return result;
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        // Work that ran for longer than that before it failed was not in an outage all along.
        if (performance.now() - start > GIVE_UP_AFTER_MS) this.failingSince = undefined;
        const isFirst = this.failingSince === undefined;
        this.failingSince ??= performance.now();
        const duration = performance.now() - this.failingSince;
        if (!TRANSIENT.has(error.code) || duration > GIVE_UP_AFTER_MS) throw unfinished(error.detail);
        if (isFirst)
          this.report(`A database does not answer; trying again for ${GIVE_UP_AFTER_MS / 1000} s.`);
        await pause(RETRY_AFTER_MS, undefined, { signal: this.signal });
      }
    }
  }
}

/** The error of a migration that ends early. */
export function unfinished(reason: string): StartError {
  return new StartError(
    `${reason} The copy is not finished; the same command goes on where this one stopped.`,
  );
}
