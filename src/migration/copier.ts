import { DatabaseError } from '../errors.js';
import type { Entry } from '../storage/entry.js';
import type { BatchOperation } from '../storage/operation.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import type { Retry } from './retry.js';

/** The best size for one transaction or script, and for a batch of which each partition of a cluster gets a small share. */
const BATCH_ENTRIES = { whole: 500, partitioned: 4000 };
const BATCH_BYTES = 2 * 2 ** 20;
const MAX_CONCURRENT_BATCHES = 4;

/** Writes entries to the target in batches, some of them at the same time. A key may come only once between two `finish`. */
export class Copier {
  private batch: BatchOperation[] = [];
  private bytes = 0;
  private readonly writing = new Set<Promise<void>>();
  private failure: unknown;
  private readonly batchEntries: number;

  constructor(
    private readonly target: StorageEngine,
    private readonly retry: Retry,
  ) {
    this.batchEntries = BATCH_ENTRIES[target.capabilities.totalOrder ? 'whole' : 'partitioned'];
  }

  /** Puts `entry` under `key`, or deletes the key. Returns a promise if the caller has to wait before the next call. */
  add(key: string, entry: Entry | undefined): Promise<void> | undefined {
    this.batch.push(operationFor(key, entry));
    this.bytes += entry?.size ?? 0;
    return this.batch.length < this.batchEntries && this.bytes < BATCH_BYTES ? undefined : this.send();
  }

  /** Resolves when everything is stored. */
  async finish(): Promise<void> {
    await this.send();
    await this.settle();
    this.throwFailure();
  }

  /** Resolves when no batch is under way any more, whether or not they have succeeded. */
  async settle(): Promise<void> {
    await Promise.all(this.writing);
  }

  private async send(): Promise<void> {
    const { batch } = this;
    [this.batch, this.bytes] = [[], 0];
    while (this.writing.size >= MAX_CONCURRENT_BATCHES) await Promise.race(this.writing);
    this.throwFailure();
    const write: Promise<void> = this.retry
      .run(() => this.write(batch))
      .catch((error: unknown) => void (this.failure ??= error))
      .finally(() => this.writing.delete(write));
    this.writing.add(write);
  }

  private throwFailure(): void {
    if (this.failure) throw this.failure;
  }

  private async write(batch: readonly BatchOperation[]): Promise<void> {
    const outcomes = await this.target.batch(batch, false);
    const refused = outcomes.find((outcome) => outcome instanceof DatabaseError);
    if (refused) throw refused;
  }
}

function operationFor(key: string, entry: Entry | undefined): BatchOperation {
  if (!entry) return { op: 'delete', key };
  const { value, type, expires } = entry;
  return { op: 'put', key, value, type, expiry: expires === 0 ? 'never' : { at: expires } };
}
