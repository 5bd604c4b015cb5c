import { randomUUID } from 'node:crypto';
import { DatabaseError } from '../errors.js';
import type { SystemKeyspace } from '../storage/system-keyspace.js';
import type { TokenRecord } from './token-record.js';

const RECORD = 'token/';
const USED = 'token-used/';
/** Changes with every change of a token, so that every process can see that there was one. It is absent before the first. */
const REVISION = 'tokens';

/** A stored token, and its bytes, which a change of it has to replace. */
interface Stored {
  readonly record: TokenRecord;
  readonly bytes: Buffer;
}

/** The tokens in the private records of the storage. Every method fails as the engine does. */
export class TokenStore {
  constructor(private readonly system: SystemKeyspace) {}

  /** Returns text that is another one after every change of any token; undefined if there has never been a token. */
  async revision(): Promise<string | undefined> {
    return (await this.system.get(REVISION))?.toString();
  }

  async get(id: string): Promise<TokenRecord | undefined> {
    return (await this.read(id))?.record;
  }

  /** Returns all tokens in the order of their ids. */
  async list(): Promise<TokenRecord[]> {
    return (await this.system.list(RECORD)).map(({ value }) => parse(value));
  }

  async add(record: TokenRecord): Promise<void> {
    await this.system.put(RECORD + record.id, bytesOf(record));
    await this.mark();
  }

  /**
   * Changes a token, and returns it as it is then; undefined if it is no more.
   * @throws DatabaseError `busy` if another request has changed it at the same time
   */
  async change(id: string, change: (record: TokenRecord) => TokenRecord): Promise<TokenRecord | undefined> {
    const stored = await this.read(id);
    if (!stored) return undefined;
    const record = change(stored.record);
    if (!(await this.system.replace(RECORD + id, stored.bytes, bytesOf(record))))
      throw new DatabaseError(
        'busy',
        'Another request changed the token at the same time. Repeat the request.',
      );
    await this.mark();
    return record;
  }

  /** Removes tokens, so that none of them can be used when it resolves. */
  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    // At once, so that many of them are few commits.
    await Promise.all(ids.flatMap((id) => [this.system.delete(RECORD + id), this.system.delete(USED + id)]));
    await this.mark();
  }

  /** Returns when tokens were used last, milliseconds since 1970, by their ids. */
  async uses(): Promise<Map<string, number>> {
    const records = await this.system.list(USED);
    return new Map(records.map(({ name, value }) => [name.slice(USED.length), Number(value.toString())]));
  }

  /** Of a token that has ended meanwhile nothing is noted, which nobody would remove. */
  async markUsed(id: string, time: number): Promise<void> {
    if (await this.system.get(RECORD + id)) await this.system.put(USED + id, Buffer.from(String(time)));
  }

  private async read(id: string): Promise<Stored | undefined> {
    const bytes = await this.system.get(RECORD + id);
    return bytes && { record: parse(bytes), bytes };
  }

  private async mark(): Promise<void> {
    await this.system.put(REVISION, Buffer.from(randomUUID()));
  }
}

function bytesOf(record: TokenRecord): Buffer {
  return Buffer.from(JSON.stringify(record));
}

function parse(bytes: Buffer): TokenRecord {
  return JSON.parse(bytes.toString()) as TokenRecord;
}
