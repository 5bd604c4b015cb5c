import { IF_EXISTS, type Database, type Key, type RangeOptions, type Transaction } from 'lmdb';
import { isNativeError } from 'node:util/types';
import { DatabaseError, type ErrorContext } from '../../errors.js';
import type { Pauses, TreeStats } from './pauses.js';

/*
 * What LMDB finds wrong with its pages (lmdb.h): PAGE_NOTFOUND, CORRUPTED, CURSOR_FULL, PAGE_FULL, INCOMPATIBLE, BAD_TXN,
 * which every call gets after one of the others, and PROBLEM.
 */
const BAD_TXN = -30782;
const DAMAGE = new Set([-30797, -30796, -30787, -30786, -30784, BAD_TXN, -30779]);

/** LMDB met a damaged page. The transaction in which that happened can do nothing more and has to be rolled back. */
export class DamagedPageError extends DatabaseError {
  /** @param isAftermath whether another error of the same transaction came before, which says what is damaged */
  constructor(
    detail: string,
    context: ErrorContext = {},
    readonly isAftermath = false,
  ) {
    super('corrupt', detail, context);
  }

  override with(context: ErrorContext): DamagedPageError {
    return new DamagedPageError(this.detail, { ...this.context, ...context }, this.isAftermath);
  }
}

/** Returns whether an error of the library says that a page is damaged. */
export function isDamage(error: unknown): error is Error {
  if (!isNativeError(error)) return false;
  // A damaged page can claim keys and values of any size, which the library then cannot make buffers for.
  const wildSize = error.name === 'RangeError' || error.message.startsWith('Invalid key size');
  return wildSize || DAMAGE.has(codeOf(error));
}

function codeOf(error: Error): number {
  return (error as Error & { code?: number }).code ?? 0;
}

/**
 * A named database of the store: a tree of pages that may be damaged.
 *
 * Problem: a read that meets a damaged page fails, and so do all later reads of its transaction, which the library shares
 * among all reads of a turn of the event loop. An iteration that fails keeps its transaction open for ever, too. Design:
 * all access goes through here. After an error the iteration is ended and `onError` renews the shared transaction.
 * Guarantee: an error that damage causes is a DamagedPageError, and fails nobody but its caller.
 */
export class Tree<K extends Key> {
  constructor(
    private readonly database: Database<Buffer, K>,
    private readonly name: string,
    private readonly pauses: Pauses,
    private readonly onError: (error: unknown) => void,
  ) {
    pauses.add(database as Database<Buffer, Key>);
  }

  /** Returns a copy of the bytes under `key`. @throws DamagedPageError */
  getBinary(key: K): Buffer | undefined {
    try {
      return this.database.getBinary(key);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** Returns a copy of the bytes under `key`, or how many they are if those are more than `most`. @throws DamagedPageError */
  getUpTo(key: K, most: number): Buffer | number | undefined {
    const { database } = this;
    try {
      const bytes = database.getBinaryFast(key);
      if (!bytes) return undefined;
      const { lastSize } = database as unknown as { lastSize: number };
      return lastSize > most ? lastSize : (Uint8Array.prototype.slice.call(bytes, 0, lastSize) as Buffer);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** Returns the bytes under `key` in the library's own memory, which its next read overwrites. @throws DamagedPageError */
  borrow(key: K): Buffer | undefined {
    const { database } = this;
    try {
      const bytes = database.getBinaryFast(key);
      return (
        bytes &&
        Buffer.from(bytes.buffer, bytes.byteOffset, (database as unknown as { lastSize: number }).lastSize)
      );
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** Iterates over entries. @throws DamagedPageError */
  getRange(options: RangeOptions): Iterable<{ key: K; value: Buffer }> {
    return this.guard(options, (given) => this.database.getRange(given));
  }

  /** Iterates over keys. @throws DamagedPageError */
  getKeys(options: RangeOptions): Iterable<K> {
    return this.guard(options, (given) => this.database.getKeys(given));
  }

  /** Counts the keys of a range without looking at them. @throws DamagedPageError */
  countKeys(options: RangeOptions): number {
    const own = this.ownTransaction(options);
    try {
      return this.database.getKeysCount(own ? { ...options, transaction: own } : options);
    } catch (error) {
      throw this.translate(error);
    } finally {
      own?.done();
    }
  }

  /** @throws DamagedPageError inside a transaction */
  put(key: K, value: Buffer, flags?: number): Promise<boolean> {
    try {
      return this.database.put(key, value, flags!);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** @throws DamagedPageError inside a transaction */
  remove(key: K): Promise<boolean> {
    try {
      return this.database.remove(key);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** Has the writing thread do what `write` asks for if `key` is there when it comes to that. Outside of transactions. */
  ifExists(key: K, write: () => void): Promise<unknown> {
    return this.database.ifVersion(key, IF_EXISTS, write);
  }

  useReadTransaction(): Transaction {
    return this.database.useReadTransaction();
  }

  /** Returns the library's figures of the tree, which it keeps and does not count. */
  getStats(): TreeStats {
    return this.pauses.statsOf(this.database as Database<Buffer, Key>);
  }

  private *guard<T>(
    options: RangeOptions,
    open: (given: RangeOptions) => Iterable<T>,
  ): Generator<T, void, undefined> {
    let iterator: Iterator<T> | undefined;
    const own = this.ownTransaction(options);
    try {
      iterator = open(own ? { ...options, transaction: own } : options)[Symbol.iterator]();
      for (let next = iterator.next(); !next.done; next = iterator.next()) yield next.value;
    } catch (error) {
      iterator?.return?.();
      throw this.translate(error);
    } finally {
      iterator?.return?.();
      own?.done();
    }
  }

  /** Returns a read transaction for a range that is read in a pause of a write transaction, unless it has one. */
  private ownTransaction(options: RangeOptions): Transaction | undefined {
    return this.pauses.areUnderWay && !options.transaction ? this.useReadTransaction() : undefined;
  }

  private translate(error: unknown, key?: K): unknown {
    const translated = isDamage(error) ? this.damaged(error, key) : error;
    this.onError(translated);
    return translated;
  }

  private damaged(cause: Error, key: K | undefined): DamagedPageError {
    const named = this.name === 'entries' && typeof key === 'string';
    const what = named ? `the key \`${key}\`` : `\`${this.name}\``;
    const detail = `A page of the data file that ${what} needs is damaged (${cause.message}). Restore a backup.`;
    return new DamagedPageError(detail, named ? { keys: [key] } : {}, codeOf(cause) === BAD_TXN);
  }
}
