import { Injectable } from '@nestjs/common';
import { AppConfig, isLoopback, shareOf } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';
import { MemoryReclaimer } from './memory-reclaimer.js';

/** Of other machines; programs of this one, and a proxy on it, all have the same address. */
const MAX_PER_ADDRESS = 100;

/** Counts the clients that watch, so that there are never more than the server can hold. */
@Injectable()
export class WatchLimit {
  private taken = 0;
  private readonly byAddress = new Map<string, number>();
  private readonly memory = new MemoryReclaimer();

  constructor(private readonly config: AppConfig) {}

  /** Whether there is a place for one more client of `address`. */
  hasRoomFor(address: string): boolean {
    return this.refusal(address) === undefined;
  }

  /** Takes a place for a client of `address`. Answers how to give it back, once. @throws DatabaseError `busy` */
  take(address: string): () => void {
    const refusal = this.refusal(address);
    if (refusal) throw refusal;
    this.taken++;
    this.byAddress.set(address, this.takenBy(address) + 1);
    return () => this.giveBack(address);
  }

  private giveBack(address: string): void {
    this.taken--;
    const left = this.takenBy(address) - 1;
    if (left === 0) this.byAddress.delete(address);
    else this.byAddress.set(address, left);
    this.memory.left();
  }

  private refusal(address: string): DatabaseError | undefined {
    const limit = shareOf(this.config.maxWatchers, this.config);
    if (this.taken >= limit) {
      const detail = `${limit} clients are watching already (MAX_WATCHERS${this.divided}).`;
      return new DatabaseError('busy', detail, { limit, setting: 'MAX_WATCHERS' });
    }
    const limitOfOne = shareOf(MAX_PER_ADDRESS, this.config);
    if (this.takenBy(address) >= limitOfOne && !isOfThisMachine(address)) {
      const detail = `${limitOfOne} clients of this address are watching already.`;
      return new DatabaseError('busy', detail, { limit: limitOfOne });
    }
    return undefined;
  }

  /** A process sees only its own clients. */
  private get divided(): string {
    const { workers } = this.config;
    return workers === 1 ? '' : `, divided among ${workers} WORKERS`;
  }

  private takenBy(address: string): number {
    return this.byAddress.get(address) ?? 0;
  }
}

/** A server that listens on `::` sees IPv4 addresses mapped into IPv6. */
function isOfThisMachine(address: string): boolean {
  return isLoopback(address.replace(/^::ffff:/i, ''));
}
