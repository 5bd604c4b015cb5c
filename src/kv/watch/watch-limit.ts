import { Injectable } from '@nestjs/common';
import { AppConfig, isLoopback, shareOf } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';
import { networkOf } from '../../http/request/client-address.js';

/** Does not hold for clients of this machine: its programs, and those behind a proxy on it, share one address. */
const MAX_PER_ADDRESS = 100;

/** Bounds how many clients watch at once, in all and from one address, or network of IPv6. */
@Injectable()
export class WatchLimit {
  private count = 0;
  private readonly byNetwork = new Map<string, number>();

  constructor(private readonly config: AppConfig) {}

  /** Whether one more client of `address` may watch. */
  allows(address: string): boolean {
    return this.refusal(address) === undefined;
  }

  /** Counts a client of `address` in. Returns a function that counts it out, once. @throws DatabaseError `busy` */
  enter(address: string): () => void {
    const refusal = this.refusal(address);
    if (refusal) throw refusal;
    this.count++;
    this.byNetwork.set(networkOf(address), this.countOf(address) + 1);
    let isIn = true;
    return () => {
      if (isIn) this.leave(address);
      isIn = false;
    };
  }

  private leave(address: string): void {
    this.count--;
    const left = this.countOf(address) - 1;
    if (left === 0) this.byNetwork.delete(networkOf(address));
    else this.byNetwork.set(networkOf(address), left);
  }

  private refusal(address: string): DatabaseError | undefined {
    const limit = shareOf(this.config.maxWatchers, this.config);
    if (this.count >= limit) {
      const detail = `${limit} clients are watching already (MAX_WATCHERS${this.divided}).`;
      return new DatabaseError('busy', detail, { limit, setting: 'MAX_WATCHERS' });
    }
    const limitOfOne = shareOf(MAX_PER_ADDRESS, this.config);
    if (this.countOf(address) >= limitOfOne && !isLoopback(address)) {
      const detail = `${limitOfOne} clients of this address are watching already.`;
      return new DatabaseError('busy', detail, { limit: limitOfOne });
    }
    return undefined;
  }

  /** Each process counts only its own clients. */
  private get divided(): string {
    const { workers } = this.config;
    return workers === 1 ? '' : `, divided among ${workers} WORKERS`;
  }

  private countOf(address: string): number {
    return this.byNetwork.get(networkOf(address)) ?? 0;
  }
}
