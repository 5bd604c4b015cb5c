import { Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { AppConfig, isLoopback, shareOf } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';
import { ClientAddresses, networkOf } from '../../http/request/client-address.js';
import { watchers } from './watch-meters.js';

/** Does not hold for clients of this machine: its programs, and those behind a proxy on it, share one address. */
const MAX_PER_ADDRESS = 100;

/** Bounds how many clients watch at once: in all, from one address or network of IPv6, and with one token. */
@Injectable()
export class WatchLimit {
  private count = 0;
  /** How many watch from each address or network, and with each token that has a limit. */
  private readonly counts = new Map<string, number>();

  constructor(
    private readonly config: AppConfig,
    private readonly addresses: ClientAddresses,
  ) {}

  /** Whether one more client, that of `request`, may watch. */
  allows(request: IncomingMessage): boolean {
    return this.refusal(request) === undefined;
  }

  /** Counts a client in. Returns a function that counts it out, once. @throws DatabaseError `busy` */
  enter(request: IncomingMessage): () => void {
    const refusal = this.refusal(request);
    if (refusal) throw refusal;
    const names = [networkOf(this.addresses.of(request)), ...limitsOf(request).map(({ name }) => name)];
    this.change(names, 1);
    let isIn = true;
    return () => {
      if (isIn) this.change(names, -1);
      isIn = false;
    };
  }

  private change(names: readonly string[], by: 1 | -1): void {
    this.count += by;
    watchers.add(by);
    for (const name of names) {
      const count = this.countOf(name) + by;
      if (count === 0) this.counts.delete(name);
      else this.counts.set(name, count);
    }
  }

  private refusal(request: IncomingMessage): DatabaseError | undefined {
    const limit = shareOf(this.config.maxWatchers, this.config);
    if (this.count >= limit) {
      const detail = `${limit} clients are watching already (MAX_WATCHERS${this.divided}).`;
      return new DatabaseError('busy', detail, { limit, setting: 'MAX_WATCHERS' });
    }
    const address = this.addresses.of(request);
    const limitOfOne = shareOf(MAX_PER_ADDRESS, this.config);
    if (this.countOf(networkOf(address)) >= limitOfOne && !isLoopback(address)) {
      const detail = `${limitOfOne} clients of this address are watching already.`;
      return new DatabaseError('busy', detail, { limit: limitOfOne });
    }
    for (const { name, most } of limitsOf(request)) {
      const limitOfToken = shareOf(most, this.config);
      if (this.countOf(name) < limitOfToken) continue;
      const detail = `${limitOfToken} clients are watching already with the token, which allows ${most}.`;
      return new DatabaseError('busy', detail, { limit: limitOfToken });
    }
    return undefined;
  }

  /** Each process counts only its own clients. */
  private get divided(): string {
    const { workers } = this.config;
    return workers === 1 ? '' : `, divided among ${workers} WORKERS`;
  }

  private countOf(name: string): number {
    return this.counts.get(name) ?? 0;
  }
}

/** Returns the limits of the request's token and of those that it was made with. */
function limitsOf({ access }: IncomingMessage): { readonly name: string; readonly most: number }[] {
  return (access?.limited ?? []).flatMap(({ id, limits }) =>
    limits.watchers === undefined ? [] : [{ name: id, most: limits.watchers }],
  );
}
