import { DatabaseError, type ErrorCode } from '../../errors.js';
import type { Clock } from '../clock.js';
import type { GroupCommit } from './group-commit.js';
import { endOfExpired, splitExpiryKey } from './keys.js';
import type { Store } from './store.js';
import { DamagedPageError } from './tree.js';
import type { Writer } from './writer.js';

const SWEEP_EVERY_MS = 500;
/** Entries that one transaction removes, which takes about 10 ms. */
const SWEEP_AT_ONCE = 2500;

/** Errors that every further try would meet, too. */
const LASTING = new Set<ErrorCode>(['corrupt', 'internal']);

/**
 * Removes what has expired, one bounded transaction after the other.
 *
 * Entries that a damaged page keeps from being removed are left out from then on, so that they hold up neither the sweep
 * nor the writes that share its transactions.
 */
export class Sweeper {
  private readonly timer = setInterval(() => void this.sweep(), SWEEP_EVERY_MS).unref();
  private isSweeping = false;
  private isStopped = false;
  /** Keys of the expiry index, as Latin-1. */
  private readonly leftOut = new Set<string>();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly commits: GroupCommit,
    private readonly writer: Writer,
  ) {}

  stop(): void {
    clearInterval(this.timer);
    this.isStopped = true;
  }

  /** One sweep runs at a time, however slow the disk is. */
  async sweep(): Promise<void> {
    if (this.isSweeping) return;
    this.isSweeping = true;
    try {
      for (let more = true; more && !this.isStopped;) {
        const found = this.findExpired();
        if (found.length > 0) await this.remove(found);
        more = found.length === SWEEP_AT_ONCE;
      }
    } catch (error) {
      // The next sweep tries again what the store refuses at present.
      if (!(error instanceof DatabaseError)) this.store.faults.note(error);
    } finally {
      this.isSweeping = false;
    }
  }

  /** Returns the keys in the expiry index of entries to remove, the earliest first. */
  private findExpired(): Buffer[] {
    this.store.freshen();
    const found: Buffer[] = [];
    try {
      const end = endOfExpired(this.clock.now());
      for (const indexed of this.store.expiry.getKeys({ start: undefined, end })) {
        if (!this.leftOut.has(indexed.toString('latin1'))) found.push(indexed);
        if (found.length === SWEEP_AT_ONCE) break;
      }
    } catch (error) {
      // What comes before the damage can be removed.
      if (!(error instanceof DamagedPageError)) throw error;
    }
    return found;
  }

  /** Removes what was found, and leaves out for good what cannot be removed. */
  private async remove(found: readonly Buffer[]): Promise<void> {
    let current: Buffer | undefined;
    const removeAll = (check: () => void): Promise<void> =>
      this.commits.submit(0, () => {
        for (current of found) {
          this.writer.removeExpired(current);
          check();
        }
      });
    try {
      await removeAll(() => undefined);
    } catch (error) {
      if (!isLasting(error)) throw error;
      // Only a check after each says which entry it is.
      await removeAll(() => this.store.assertUsable()).catch((again) => {
        if (!isLasting(again)) throw again;
        this.store.faults.note(again.cause ?? again);
        // An entry that can be read cannot be removed, either, if its page would have to be merged with a damaged one.
        const unremovable = found.filter(
          (indexed) => indexed === current || !this.isReadable(splitExpiryKey(indexed).key),
        );
        for (const indexed of unremovable) this.leftOut.add(indexed.toString('latin1'));
      });
    }
  }

  private isReadable(key: string): boolean {
    try {
      this.store.entries.borrow(key);
      return true;
    } catch {
      return false;
    }
  }
}

function isLasting(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && LASTING.has(error.code);
}
