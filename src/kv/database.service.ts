import { Injectable } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { DatabaseError, MissingKeyError } from '../errors.js';
import { MAX_KEY_BYTES, TEXT, type Entry } from '../storage/entry.js';
import { StorageEngine, type Awaitable } from '../storage/storage-engine.js';

/** UTF-8 never takes more bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/** The database as its users know it: the rules that hold on every engine. */
@Injectable()
export class DatabaseService {
  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {}

  /** The entry under `key`, at once where the engine can. @throws MissingKeyError */
  get(key: string): Awaitable<Entry> {
    checkKey(key);
    const found = this.engine.get(key);
    return found instanceof Promise ? found.then((entry) => present(key, entry)) : present(key, found);
  }

  /** Stores a text that does not expire. Durable when it resolves; answers whether the key is new. */
  async set(key: string, text: string): Promise<'created' | 'updated'> {
    checkKey(key);
    const value = Buffer.from(text);
    this.checkSize(value.length);
    const outcome = await this.engine.write({ op: 'put', key, value, type: TEXT, expiry: 'never' });
    return outcome.kind === 'created' ? 'created' : 'updated';
  }

  /** Every entry, in key order, from one snapshot where the engine has them. */
  all(): AsyncIterable<readonly Entry[]> {
    return this.engine.scan({ prefix: '', values: true });
  }

  private checkSize(bytes: number): void {
    const limit = this.config.maxValueBytes;
    if (bytes <= limit) return;
    throw new DatabaseError('value-too-large', `A value may have ${limit} bytes (MAX_VALUE_BYTES).`, {
      limit,
      setting: 'MAX_VALUE_BYTES',
    });
  }
}

function present(key: string, entry: Entry | undefined): Entry {
  if (!entry) throw new MissingKeyError(key);
  return entry;
}

function checkKey(key: string): void {
  if (key.length * MAX_BYTES_PER_UNIT <= MAX_KEY_BYTES && key !== '') return;
  const bytes = Buffer.byteLength(key);
  if (bytes >= 1 && bytes <= MAX_KEY_BYTES) return;
  throw new DatabaseError(
    'invalid-key',
    `A key has 1 to ${MAX_KEY_BYTES} bytes of UTF-8; this one has ${bytes}.`,
    {
      limit: MAX_KEY_BYTES,
    },
  );
}
