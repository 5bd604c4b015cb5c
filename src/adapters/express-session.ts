import { Store, type SessionData } from 'express-session';
import type { Pigeonhole, PigeonholeError } from '../client/pigeonhole.js';
import { clientOf, durationOf, prefixOf, type AdapterOptions } from './options.js';

export interface SessionStoreOptions extends AdapterOptions {
  /** Seconds that a session lives whose cookie ends with the browser; a day by default. */
  readonly ttl?: number | undefined;
}

type Done<T = void> = (error: unknown, result?: T) => void;

/** Sessions whose cookie has no end of its own. */
const DAY_S = 86_400;

/**
 * Keeps the sessions of express-session: `session({ store: new PigeonholeStore('http://127.0.0.1:4000') })`.
 *
 * A session is JSON below `prefix`, which is `session/` by default, and ends when its cookie does; each request that touches
 * it moves that. What is touched while it ends, or is deleted by another request, stays deleted.
 */
export default class PigeonholeStore extends Store {
  private readonly db: Pigeonhole;
  private readonly prefix: string;
  private readonly ttl: number;

  constructor(server: string | Pigeonhole, options: SessionStoreOptions = {}) {
    super();
    this.db = clientOf(server, options);
    this.prefix = prefixOf(options, 'session/');
    this.ttl = options.ttl ?? DAY_S;
  }

  override get(id: string, done: Done<SessionData | null>): void {
    settle(done, async () => (await (await this.db.get(this.prefix + id))?.json<SessionData>()) ?? null);
  }

  override set(id: string, session: SessionData, done: Done = ignore): void {
    settle(done, async () => {
      const milliseconds = this.lifetime(session);
      if (milliseconds <= 0) await this.db.del(this.prefix + id);
      else await this.db.put(this.prefix + id, session, { ttl: durationOf(milliseconds) });
    });
  }

  override touch(id: string, session: SessionData, done: Done = ignore): void {
    settle(done, async () => {
      try {
        const ttl = durationOf(Math.max(1, this.lifetime(session)));
        await this.db.touch(this.prefix + id, ttl);
      } catch (error) {
        if ((error as PigeonholeError).code !== 'missing-key') throw error;
      }
    });
  }

  override destroy(id: string, done: Done = ignore): void {
    settle(done, () => this.db.del(this.prefix + id));
  }

  override all(done: Done<Record<string, SessionData>>): void {
    settle(done, async () => {
      const sessions: Record<string, SessionData> = {};
      for await (const { key, value } of this.db.entries({ prefix: this.prefix, values: true }))
        sessions[key.slice(this.prefix.length)] = JSON.parse(value!) as SessionData;
      return sessions;
    });
  }

  override length(done: Done<number>): void {
    settle(done, () => this.db.count({ prefix: this.prefix }));
  }

  override clear(done: Done = ignore): void {
    settle(done, async () => {
      await this.db.delRange({ prefix: this.prefix });
    });
  }

  /** Milliseconds from now. */
  private lifetime({ cookie }: SessionData): number {
    const { expires } = cookie;
    return expires ? new Date(expires).getTime() - Date.now() : this.ttl * 1000;
  }
}

function ignore(): void {}

/** Calls back outside of the promise, so that what a callback throws is not taken for a failure of the store. */
function settle<T>(done: Done<T>, work: () => Promise<T>): void {
  work().then(
    (result) => setImmediate(done, null, result),
    (error: unknown) => setImmediate(done, error),
  );
}
