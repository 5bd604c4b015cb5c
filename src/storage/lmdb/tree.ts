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

/** What the library's database has beside its types: how it makes what it gives of the bytes that it has found. */
interface Insides<K> {
  /** How many the last ones are. */
  readonly lastSize: number;
  getBinaryFast(key: K, options?: { readonly transaction: Transaction }): FoundBytes | undefined;
  /** Finds bytes that are too many for the library's memory. */
  _returnLargeBuffer(find: () => number): FoundBytes;
  decoder: { decode(bytes: FoundBytes, size: number): Buffer | number };
  decoderCopies: boolean;
}
/** They may be in the library's memory, which its next read overwrites. */
type FoundBytes = Buffer & { readonly isGlobal?: boolean };

const NOT_FOUND: FoundBytes = Buffer.alloc(0);

/**
 * A named database of the store: a tree of pages that may be damaged.
 *
 * Problem: a read that meets a damaged page fails, and so do all later reads of its transaction, which the library shares
 * among all reads of a turn of the event loop. An iteration that fails keeps its transaction open for ever, too. Design:
 * all access goes through here. After an error the iteration is ended and `onError` renews the shared transaction.
 * Guarantee: an error that damage causes is a DamagedPageError, and fails nobody but its caller.
 */
export class Tree<K extends Key> {
  private readonly insides: Insides<K>;
  /** The most bytes of a value that the iteration under way copies. */
  private most = Infinity;

  constructor(
    private readonly database: Database<Buffer, K>,
    private readonly name: string,
    private readonly pauses: Pauses,
    private readonly onError: (error: unknown) => void,
  ) {
    pauses.add(database as Database<Buffer, Key>);
    this.insides = database as unknown as Insides<K>;
    this.copyUpToMost();
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
    const { insides } = this;
    try {
      const bytes = insides.getBinaryFast(key);
      if (!bytes) return undefined;
      const { lastSize } = insides;
      return lastSize > most ? lastSize : (Uint8Array.prototype.slice.call(bytes, 0, lastSize) as Buffer);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /** Returns the bytes under `key` in the library's own memory, which its next read overwrites. @throws DamagedPageError */
  borrow(key: K, transaction?: Transaction): Buffer | undefined {
    const { insides } = this;
    try {
      const bytes = insides.getBinaryFast(key, transaction && { transaction });
      return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, insides.lastSize);
    } catch (error) {
      throw this.translate(error, key);
    }
  }

  /**
   * Copies the bytes under `key` to `memory`, and returns the part of it that has them, or how many they are if they do not
   * fit. @throws DamagedPageError
   */
  copyTo(memory: Buffer, key: K, transaction?: Transaction): Buffer | number | undefined {
    const bytes = this.borrow(key, transaction);
    if (!bytes || bytes.length > memory.length) return bytes?.length;
    return memory.subarray(0, bytes.copy(memory));
  }

  /** Iterates over entries. @throws DamagedPageError */
  getRange(options: RangeOptions): Iterable<{ key: K; value: Buffer }> {
    return this.guard(options, (given) => this.database.getRange(given));
  }

  /** Does the same, but of a value of more than `most` bytes it gives how many they are. @throws DamagedPageError */
  getRangeUpTo(most: number, options: RangeOptions): Iterable<{ key: K; value: Buffer | number }> {
    return this.guard(options, (given) => this.database.getRange(given), most);
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
    most = Infinity,
  ): Generator<T, void, undefined> {
    let iterator: Iterator<T, void> | undefined;
    const own = this.ownTransaction(options);
    try {
      iterator = open(own ? { ...options, transaction: own } : options)[Symbol.iterator]();
      for (;;) {
        const { done, value } = this.next(iterator, most);
        if (done) return;
        yield value;
      }
    } catch (error) {
      iterator?.return?.();
      throw this.translate(error);
    } finally {
      iterator?.return?.();
      own?.done();
    }
  }

  private next<T>(iterator: Iterator<T, void>, most: number): IteratorResult<T, void> {
    this.most = most;
    try {
      return iterator.next();
    } finally {
      this.most = Infinity;
    }
  }

  /** Has the library ask `most` before it copies what it has found. */
  private copyUpToMost(): void {
    const { insides } = this;
    const returnLarge = insides._returnLargeBuffer.bind(insides);
    insides._returnLargeBuffer = (find) => (insides.lastSize > this.most ? NOT_FOUND : returnLarge(find));
    insides.decoder = {
      decode: (bytes, size) => {
        if (size > this.most) return size;
        return bytes.isGlobal ? (Uint8Array.prototype.slice.call(bytes, 0, size) as Buffer) : bytes;
      },
    };
    insides.decoderCopies = true;
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
