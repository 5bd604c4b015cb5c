import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { AppConfig, isLoopback } from '../config/app-config.js';
import { DatabaseError, StartError } from '../errors.js';
import { JailEngine } from '../storage/jail/jail.engine.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { Access, ADMIN_ID, hasLimits, OPEN } from './access.js';
import { digestOf, idIn, isSameDigest } from './token-text.js';
import type { TokenRecord } from './token-record.js';
import { TokenStore } from './token-store.js';

const LOOK_EVERY_MS = 400;
const MINUTE = 60_000;
/** Tokens that are in use at a time. With more of them some are looked up again. */
const MOST_CACHED = 10_000;

/**
 * Finds out whose token a text is.
 *
 * Problem: a look-up for every request would cost as much as the read that it is for, and what a token may no longer do has
 * to end within a second in all processes. Design: what a text has come to is kept under its SHA-256, so that no secret is;
 * a record that changes with every change of a token is read every 400 ms, and every change makes all that is kept stale. So
 * does each minute, in case that a process ended between a change and its mark. Guarantee: half a second after the answer to
 * a revocation no process lets a request in with that token. While the storage cannot be reached, what is known counts.
 */
@Injectable()
export class Authenticator implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger('Auth');
  private readonly adminDigest: string | undefined;
  private readonly listeners: (() => void)[] = [];
  private store: TokenStore | undefined;
  private readonly cache = new Map<string, Access>();
  /** Counts the times at which everything that was known became stale. */
  private generation = 0;
  /** When the tokens were used that requests came with since that was noted last: the minute, by their ids. */
  private readonly used = new Map<string, number>();
  private revision: string | undefined;
  private isLooking = false;
  private timer: NodeJS.Timeout | undefined;
  private minute: NodeJS.Timeout | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {
    this.adminDigest = config.adminToken === '' ? undefined : digestOf(config.adminToken);
  }

  /** @throws StartError if everybody who reaches the server could read and write */
  async onModuleInit(): Promise<void> {
    this.revision = await this.tokens.revision();
    const { host, allowAnonymous } = this.config;
    if (!isLoopback(host) && !allowAnonymous && !this.needsToken) throw new StartError(tokenNeeded(host));
    this.timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
    this.minute = setInterval(() => void this.passMinute(), MINUTE).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
    clearInterval(this.minute);
  }

  /** The engine opens its private records when it opens. */
  get tokens(): TokenStore {
    return (this.store ??= new TokenStore(this.engine.system));
  }

  /** Whether requests need a token: there is one, or there has been. */
  get needsToken(): boolean {
    return this.adminDigest !== undefined || this.revision !== undefined;
  }

  get hasAdminToken(): boolean {
    return this.adminDigest !== undefined;
  }

  /** What a request may do where none needs a token. */
  get open(): Access {
    return new Access('', OPEN, [], this.engine, 0, this.generation);
  }

  /** Calls `listener` after each change of tokens, and about once a second while tokens end. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Whether what was found for a text still counts. */
  isCurrent(access: Access): boolean {
    return access.generation === this.generation && !this.isOver(access.expires);
  }

  /** Notes that a request has come with a token. */
  noteUse(access: Access): void {
    if (access.isUsed) return;
    access.isUsed = true;
    const minute = Math.floor(this.engine.now() / MINUTE) * MINUTE;
    if (access.id !== ADMIN_ID) this.used.set(access.id, minute);
  }

  /** Returns what the holder of a token may do. @throws DatabaseError `invalid-token` */
  resolve(text: string): Access | Promise<Access> {
    const digest = digestOf(text);
    const known = this.cache.get(digest);
    return known && this.isCurrent(known) ? known : this.find(text, digest);
  }

  /** Whether a token is of the form that the server makes, which nobody can guess. */
  isOurs(text: string): boolean {
    return idIn(text) !== undefined;
  }

  /** Looks whether tokens have changed, and makes everybody take notice. */
  async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const revision = await this.tokens.revision();
      const hasChanged = revision !== this.revision;
      this.revision = revision;
      if (hasChanged) this.forget();
    } catch {
      // The requests meet the same error.
    } finally {
      this.isLooking = false;
    }
    if ([...this.cache.values()].some(({ expires }) => this.isOver(expires))) this.tell();
  }

  private async find(text: string, digest: string): Promise<Access> {
    if (this.adminDigest !== undefined && isSameDigest(digest, this.adminDigest))
      return this.keep(digest, new Access(ADMIN_ID, OPEN, [], this.jailOf('', ADMIN_ID), 0, this.generation));
    const id = idIn(text);
    if (id === undefined)
      throw invalidToken('The token is not of the form `pgh_…`, or a character of it is wrong.');
    // Tokens may change while they are read.
    const { generation } = this;
    const record = await this.tokens.get(id);
    const until = record && this.validity(record, digest);
    if (!record || until === undefined)
      throw invalidToken('The token is not one of this server: it was revoked or replaced, or never made.');
    if (this.isOver(until)) throw invalidToken('The token has expired.');
    const parents = await Promise.all(record.parents.map((parent) => this.tokens.get(parent)));
    const isOrphan = parents.some((parent) => !parent || this.isOver(parent.expires));
    if (isOrphan) throw invalidToken('A token that this one was made with has ended.');
    const limited = [record, ...(parents as TokenRecord[])].filter(hasLimits);
    if (generation !== this.generation) return this.find(text, digest);
    const engine = this.jailOf(record.namespace, id);
    return this.keep(digest, new Access(id, record, limited, engine, until, generation));
  }

  /** Returns until when a digest stands for a token; undefined if it does not. */
  private validity({ digest, old, expires }: TokenRecord, given: string): number | undefined {
    if (isSameDigest(given, digest)) return expires;
    if (!old || !isSameDigest(given, old.digest)) return undefined;
    return expires === 0 ? old.until : Math.min(old.until, expires);
  }

  private keep(digest: string, access: Access): Access {
    if (this.cache.size >= MOST_CACHED) this.forget();
    this.cache.set(digest, access);
    return access;
  }

  private jailOf(namespace: string, by: string): StorageEngine {
    return new JailEngine(this.engine, { namespace, by });
  }

  private forget(): void {
    this.generation++;
    this.cache.clear();
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private isOver(time: number): boolean {
    return time !== 0 && time <= this.engine.now();
  }

  private async passMinute(): Promise<void> {
    this.forget();
    const used = [...this.used];
    this.used.clear();
    try {
      for (const [id, minute] of used) await this.tokens.markUsed(id, minute);
    } catch (error) {
      this.logger.warn(`When tokens were used could not be noted: ${(error as Error).message}`);
    }
  }
}

export function invalidToken(detail: string): DatabaseError {
  return new DatabaseError('invalid-token', detail);
}

function tokenNeeded(host: string): string {
  return `HOST ${host} can be reached by others, so that the server needs a token. Type these two lines:
  export ADMIN_TOKEN=$(openssl rand -hex 24)
  pigeonhole
Or make one in the database with \`pigeonhole token create\`. With ALLOW_ANONYMOUS=true everybody could read and write.`;
}
