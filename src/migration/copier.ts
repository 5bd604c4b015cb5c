import { DatabaseError } from '../errors.js';
import type { Entry } from '../storage/entry.js';
import type { BatchOperation } from '../storage/operation.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import type { Retry } from './retry.js';

/** What one script or transaction does best; of a batch, each partition of a cluster gets its own small share. */
const BATCH_ENTRIES = { whole: 500, partitioned: 4000 };
const BATCH_BYTES = 2 * 2 ** 20;
const BATCHES_AT_ONCE = 4;

/** Writes what is to be copied, each key once, in batches of which some are under way at a time. */
export class Copier {
  private batch: BatchOperation[] = [];
  private bytes = 0;
  private readonly writing = new Set<Promise<void>>();
  private failure: unknown;
  private readonly most: number;

  constructor(
    private readonly target: StorageEngine,
    private readonly patience: Retry,
  ) {
    this.most = BATCH_ENTRIES[target.capabilities.totalOrder ? 'whole' : 'partitioned'];
  }

  /** Has `key` become `entry`, or absent. Answers a promise when the caller is to wait before the next. */
  add(key: string, entry: Entry | undefined): Promise<void> | undefined {
    this.batch.push(operationFor(key, entry));
    this.bytes += entry?.size ?? 0;
    return this.batch.length < this.most && this.bytes < BATCH_BYTES ? undefined : this.send();
  }

  /** Resolves when everything is stored. */
  async finish(): Promise<void> {
    await this.send();
    await this.settle();
    this.assertSound();
  }

  /** Resolves when nothing is under way any more, stored or not. */
  async settle(): Promise<void> {
    await Promise.all(this.writing);
  }

  private async send(): Promise<void> {
    const { batch } = this;
    [this.batch, this.bytes] = [[], 0];
    while (this.writing.size >= BATCHES_AT_ONCE) await Promise.race(this.writing);
    this.assertSound();
    const write: Promise<void> = this.patience
      .persist(() => this.write(batch))
      .catch((error: unknown) => void (this.failure ??= error))
      .finally(() => this.writing.delete(write));
    this.writing.add(write);
  }

  private assertSound(): void {
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
