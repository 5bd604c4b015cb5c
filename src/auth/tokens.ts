import { Injectable } from '@nestjs/common';
import { DatabaseError } from '../errors.js';
import { namespaceFault } from '../storage/jail/namespace.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { ADMIN_ID, mayEverything, type Access } from './access.js';
import { Authenticator } from './authenticator.js';
import type { Right } from './rights.js';
import type { TokenRecord } from './token-record.js';
import type { TokenRequest } from './token-request.js';
import { digestOf, newId, newTokenText } from './token-text.js';
import type { TokenStore } from './token-store.js';

/** Each request with a token looks for those that it was made with. */
const MOST_PARENTS = 8;
const MOST_TOKENS = 10_000;

/** A token that was made or got a new secret, and its text, which nobody can read again. */
export interface Issued {
  readonly record: TokenRecord;
  readonly text: string;
}

/** A page of tokens, and the id after which the next begins. */
export interface TokenPage {
  readonly items: readonly TokenRecord[];
  readonly next: string | undefined;
}

/**
 * Makes and ends tokens. Who asks sees and changes what was made with the own token, and makes nothing wider than that: it
 * would be a way out of the jail, as would be a new secret for a token of somebody else.
 */
@Injectable()
export class Tokens {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly engine: StorageEngine,
  ) {}

  /** @throws DatabaseError `forbidden` for what is wider than what `by` may do, `invalid-parameter`, `last-admin`, `busy` */
  async create(by: Access, request: TokenRequest): Promise<Issued> {
    const now = this.engine.now();
    const expires = request.ttl === undefined ? 0 : now + request.ttl;
    const id = newId();
    const text = newTokenText(id);
    const record: TokenRecord = {
      id,
      digest: digestOf(text),
      namespace: by.record.namespace + request.namespace,
      can: request.can,
      created: now,
      expires,
      parents: isStored(by) ? [by.id, ...by.record.parents] : [],
      note: request.note,
      requireConditions: request.requireConditions || by.record.requireConditions,
      limits: request.limits,
    };
    checkNarrower(by, record);
    const fault = namespaceFault(record.namespace);
    if (fault !== undefined) throw new DatabaseError('invalid-parameter', fault);
    await this.checkFirst(record);
    await this.makeRoom();
    await this.store.add(record);
    await this.authenticator.look();
    return { record, text };
  }

  /**
   * Gives a token a new secret; the old one counts for `grace` ms.
   * @throws DatabaseError `unknown-token`, `busy`, `forbidden` for a token that outlives the secret of who asks
   */
  async rotate(by: Access, id: string, grace: number): Promise<Issued> {
    checkEnd(by, await this.get(by, id));
    const text = newTokenText(id);
    const until = this.engine.now() + grace;
    const record = await this.store.change(id, (before) => ({
      ...before,
      digest: digestOf(text),
      old: grace > 0 ? { digest: before.digest, until } : undefined,
    }));
    if (!record) throw unknownToken(id);
    await this.authenticator.look();
    return { record, text };
  }

  /** Ends a token, and every token that was made with it. @throws DatabaseError `unknown-token`, `last-admin` */
  async revoke(by: Access, id: string): Promise<void> {
    await this.get(by, id);
    const all = await this.store.list();
    const ends = (record: TokenRecord) => record.id === id || record.parents.includes(id);
    if (!this.authenticator.hasAdminToken && !all.some((each) => !ends(each) && mayEverything(each)))
      throw lastAdmin('This is the last token that can make all others');
    // The token itself first: with it the others end, however long it takes to remove them.
    await this.store.remove([id]);
    await this.authenticator.look();
    await this.store.remove(all.filter((each) => ends(each) && each.id !== id).map((each) => each.id));
  }

  /** @throws DatabaseError `unknown-token`, also for one that `by` may not see */
  async get(by: Access, id: string): Promise<TokenRecord> {
    const record = await this.store.get(id);
    if (!record || !isVisible(by, record)) throw unknownToken(id);
    return record;
  }

  async list(by: Access, after: string, limit: number): Promise<TokenPage> {
    const visible = (await this.store.list()).filter((each) => each.id > after && isVisible(by, each));
    const items = visible.slice(0, limit);
    return { items, next: visible.length > limit ? items.at(-1)!.id : undefined };
  }

  /** Returns what tells which of the tokens `ids` who asks may know of: in a namespace, those that it can list. */
  async knownTo(by: Access | undefined, ids: readonly string[]): Promise<(id: string) => boolean> {
    if (!by || by.record.namespace === '') return (id) => ids.includes(id);
    const records = await Promise.all([...new Set(ids)].map((id) => this.store.get(id)));
    return (id) => records.some((record) => record?.id === id && isVisible(by, record));
  }

  /** Returns when tokens were used last, by their ids, milliseconds since 1970, whole minutes. */
  uses(): Promise<ReadonlyMap<string, number>> {
    return this.store.uses();
  }

  private get store(): TokenStore {
    return this.authenticator.tokens;
  }

  /** From the first token on requests need one, so that it has to be one that can make others. */
  private async checkFirst(record: TokenRecord): Promise<void> {
    if (this.authenticator.needsToken || mayEverything(record)) return;
    throw lastAdmin(
      'From the first token on every request needs one. So the first must be able to make all others: ' +
        'every right, no namespace, no end, no conditions and no limits',
    );
  }

  /** Tokens that have expired make room for new ones. */
  private async makeRoom(): Promise<void> {
    const all = await this.store.list();
    if (all.length < MOST_TOKENS) return;
    const over = all.filter(({ expires }) => expires !== 0 && expires <= this.engine.now());
    if (over.length === 0)
      throw new DatabaseError('busy', `There are ${MOST_TOKENS} tokens, which is the most. Delete some.`, {
        limit: MOST_TOKENS,
      });
    await this.store.remove(over.map(({ id }) => id));
  }
}

/** Whether it is a token with a record, and not ADMIN_TOKEN or a server that needs none. */
function isStored({ id }: Access): boolean {
  return id !== '' && id !== ADMIN_ID;
}

function isVisible(by: Access, { id, parents }: TokenRecord): boolean {
  return by.isUnlimited || id === by.id || parents.includes(by.id);
}

/** @throws DatabaseError `forbidden` */
function checkNarrower(by: Access, record: TokenRecord): void {
  const wider = record.can.find((right) => !by.may(right));
  if (wider !== undefined) throw tooWide(`has the right \`${wider}\`, which yours has not`, wider);
  checkEnd(by, record);
  if (record.parents.length > MOST_PARENTS)
    throw tooWide(`is the ${MOST_PARENTS + 1}th in a row that was made with another`);
}

/** A secret in its grace ends with it: whoever has only that must not get one that goes on. @throws DatabaseError `forbidden` */
function checkEnd({ expires: end }: Access, { expires }: TokenRecord): void {
  if (end === 0 || (expires !== 0 && expires <= end)) return;
  throw tooWide(`ends after yours, which ends at ${new Date(end).toISOString()}`);
}

function tooWide(why: string, right?: Right): DatabaseError {
  const detail = `A token makes only narrower ones, and gives new secrets only to those; this one ${why}.`;
  return new DatabaseError('forbidden', detail, right && { right });
}

function unknownToken(id: string): DatabaseError {
  return new DatabaseError('unknown-token', `There is no token ${JSON.stringify(id.slice(0, 64))}.`);
}

function lastAdmin(why: string): DatabaseError {
  return new DatabaseError(
    'last-admin',
    `${why}. Nothing was changed. A server that is started with ADMIN_TOKEN does not need one.`,
  );
}
