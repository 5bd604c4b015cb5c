import type { IncrementResponse, Options, Store } from 'express-rate-limit';
import type { BatchOperation, BatchResult, Pigeonhole } from '../client/pigeonhole.js';
import { clientOf, durationOf, prefixOf, type AdapterOptions } from './options.js';

/**
 * Counts for express-rate-limit, for all servers of an application together:
 * `rateLimit({ store: new PigeonholeStore('http://127.0.0.1:4000') })`.
 *
 * The first hit of a client makes its counter, which ends with the window. Two limits need two prefixes; it is
 * `rate-limit/` by default.
 */
export default class PigeonholeStore implements Store {
  /** Counters are seen by every server. */
  readonly localKeys = false;
  readonly prefix: string;
  private readonly db: Pigeonhole;
  private window: string | undefined = '60s';

  constructor(server: string | Pigeonhole, options: AdapterOptions = {}) {
    this.db = clientOf(server, options);
    this.prefix = prefixOf(options, 'rate-limit/');
  }

  init({ windowMs }: Options): void {
    this.window = durationOf(windowMs);
  }

  async get(key: string): Promise<IncrementResponse | undefined> {
    const result = await this.one({ op: 'get', key: this.prefix + key }, 'missing-key');
    return result && hitsOf(result);
  }

  async increment(key: string): Promise<IncrementResponse> {
    return hitsOf((await this.one({ op: 'incr', key: this.prefix + key, ttl: this.window }))!);
  }

  /** Takes a hit back, if its window has not ended meanwhile. */
  async decrement(key: string): Promise<void> {
    await this.one({ op: 'incr', key: this.prefix + key, by: -1, ifMatch: '*' }, 'precondition-failed');
  }

  resetKey(key: string): Promise<void> {
    return this.db.del(this.prefix + key);
  }

  async resetAll(): Promise<void> {
    await this.db.delRange({ prefix: this.prefix });
  }

  /** Does one operation; undefined if it is refused with the code of a counter that is not there. */
  private async one(operation: BatchOperation, absent?: string): Promise<BatchResult | undefined> {
    const [result] = await this.db.batch([operation], { atomic: false });
    const { problem } = result!;
    if (problem && problem.code !== absent) throw new Error(problem.detail);
    return problem ? undefined : result;
  }
}

function hitsOf({ value, expires }: BatchResult): IncrementResponse {
  return { totalHits: Number(value), resetTime: expires ? new Date(expires) : undefined };
}
