import { PigeonholeError } from './error.js';
import type { Entry } from './entry.js';
import { pause } from './transport.js';
import type { Abortable, Conditions, Description, ReadOptions, WriteOptions } from './types.js';

/** What a lock needs of a client. */
interface Entries {
  get(key: string, options?: ReadOptions): Promise<Entry | undefined>;
  put(key: string, value: string, options?: WriteOptions): Promise<Description>;
  touch(key: string, ttl: number | string, options?: Conditions): Promise<Description>;
  del(key: string, options?: Conditions): Promise<void>;
}

export interface LockOptions extends Abortable {
  /** How long the lock outlives a holder that is gone: seconds, or a duration as `30s`; 30 s by default. */
  readonly ttl?: number | string | undefined;
  /** Whether to wait for a lock that is taken, which is the default, or to throw `precondition-failed`. */
  readonly wait?: boolean | undefined;
  /** Says for people who holds it; stored as the value of the entry. */
  readonly holder?: string | undefined;
}

/** A lock that is held. It is renewed until it is released or lost. */
export interface Lock {
  readonly key: string;
  /** The tag with which the lock was taken. Later ones are greater as text (not on Redis): a fencing token. */
  readonly fence: string;
  /** Aborted when the lease is lost, or may be over before it can be renewed. */
  readonly signal: AbortSignal;
  /** How long the lease certainly lasts, milliseconds. */
  readonly left: number;
  /** Called after each renewal with what is left then. */
  onRenewal(listener: (left: number) => void): void;
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const UNITS: Record<string, number> = { ms: 1, '': 1e3, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
/** Share of the lease that is left when it counts as lost, so that whoever works under it can be stopped. */
const LEFT = 1 / 4;
const POLL_SECONDS = 30;

/** Returns a function that says how many ms have passed, those of a sleeping computer too. */
function stopwatch(): () => number {
  const [ticks, time] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - ticks, Date.now() - time);
}

function milliseconds(ttl: number | string): number {
  const [, count, unit] = /^(\d+)([a-z]*)$/.exec(String(ttl)) ?? [];
  return Number(count) * (UNITS[unit!] ?? NaN);
}

/*
 * A lock with a lease, held by one at a time.
 *
 * Problem: answers get lost, so a holder may not know that the lock is its own, or that it is no more. Design: the entry's
 * value is unique to the attempt, so whoever reads it knows whose it is. The lease is counted from before the request that
 * began it was sent, and by the faster of two clocks, so it ends here no later than there. It counts as lost while a
 * quarter of it is left. What is left out: a process that is paused for longer than that; the fence is for it.
 */
class Lease implements Lock {
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  readonly #work: Promise<void>;
  #listener: (left: number) => void = () => undefined;

  constructor(
    private readonly db: Entries,
    readonly key: string,
    private readonly owner: string,
    private readonly ttl: number | string,
    readonly fence: string,
    /** How long ago the request was sent that began the lease. */
    private age: () => number,
  ) {
    this.#work = this.#renew();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get left(): number {
    return milliseconds(this.ttl) - this.age();
  }

  onRenewal(listener: (left: number) => void): void {
    this.#listener = listener;
  }

  async release(): Promise<void> {
    this.#released.abort();
    await this.#work;
    await letGo(this.db, this.key, this.owner);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Renews until the lock is released or lost. */
  async #renew(): Promise<void> {
    const lease = milliseconds(this.ttl);
    const end = this.#released.signal;
    for (let tag: string | undefined = this.fence; tag !== undefined;) {
      const left = lease * (1 - LEFT) - this.age();
      if (left <= 0) break;
      // Checked often, so that the end of the lease is noticed after the computer has slept.
      const rest = lease / 3 - this.age();
      await pause(Math.max(lease / 20, Math.min(rest, 1000)), end).catch(() => undefined);
      if (end.aborted) return;
      if (rest > 1000) continue;
      const signal = AbortSignal.any([end, AbortSignal.timeout(Math.ceil(left))]);
      tag = await this.#extend(tag, signal).catch(() => tag);
    }
    this.#lost.abort(new PigeonholeError('lock-lost', 0, `The lease of ${this.key} is lost.`));
  }

  /** Returns the new tag, or undefined if the lock is somebody else's. */
  async #extend(tag: string, signal: AbortSignal): Promise<string | undefined> {
    const age = stopwatch();
    try {
      const { etag } = await this.db.touch(this.key, this.ttl, { ifMatch: tag, signal });
      this.age = age;
      this.#listener(this.left);
      return etag;
    } catch (error) {
      if (signal.aborted) throw error;
      // A renewal whose answer was lost has given the entry another tag.
      const found = await this.db.get(this.key, { signal });
      return found && (await found.text()) === this.owner ? found.etag : undefined;
    }
  }
}

/** Takes a lock. @throws PigeonholeError `precondition-failed` if it is taken and not to be waited for */
export async function acquire(db: Entries, key: string, options: LockOptions): Promise<Lock> {
  const { ttl = 30, wait = true, holder = 'held', signal } = options;
  if (!(milliseconds(ttl) > 0)) throw new TypeError(`ttl must be a duration such as '30s', not '${ttl}'.`);
  const owner = `${holder} ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
  try {
    for (;;) {
      const age = stopwatch();
      const taken = (tag: string) => new Lease(db, key, owner, ttl, tag, age);
      try {
        return taken((await db.put(key, owner, { create: true, ttl, signal })).etag);
      } catch (error) {
        if (!/^(precondition-failed|outcome-unknown)$/.test((error as PigeonholeError).code)) throw error;
        const found = await db.get(key, { signal });
        if (found && (await found.text()) === owner) return taken(found.etag);
        if (!wait) throw error;
        if (found) await untilChanged(db, key, found.etag, signal);
      }
    }
  } catch (error) {
    // The request that was cut off may have taken it.
    if (signal?.aborted) void letGo(db, key, owner).catch(() => undefined);
    throw error;
  }
}

async function untilChanged(db: Entries, key: string, tag: string, signal?: AbortSignal): Promise<void> {
  const entry = await db.get(key, { ifNoneMatch: tag, wait: POLL_SECONDS, signal });
  await entry?.body?.cancel();
}

/** Deletes the entry if it is `owner`'s. */
async function letGo(db: Entries, key: string, owner: string): Promise<void> {
  const found = await db.get(key);
  if (!found || (await found.text()) !== owner) return;
  await db.del(key, { ifMatch: found.etag }).catch((error: unknown) => {
    if ((error as PigeonholeError).status !== 412) throw error;
  });
}
