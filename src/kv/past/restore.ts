import { DatabaseError, MissingKeyError } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import type { EntryHeader } from '../../storage/entry.js';
import type { KeyRange } from '../../storage/key-range.js';
import { assertReached, sizeOf, type Operation } from '../../storage/operation.js';
import type { Moment, SinceThen } from '../../storage/past.js';
import type { DatabaseService } from '../database.service.js';

/** Errors that are told; all are counted. */
const MOST_ERRORS = 100;
/** What one chunk of writes brings. */
const CHUNK_BYTES = 4 * 2 ** 20;
const CHUNK_OPERATIONS = 256;

/** What has become of the keys of a range. */
export interface Restored {
  /** How many have a value, type or expiry again that they had. */
  restored: number;
  /** How many are gone again, as they were. */
  deleted: number;
  /** How many entries were as they had been. */
  unchanged: number;
  /** The first keys that stay as they are, and why. */
  readonly errors: { readonly key: string; readonly code: string; readonly detail: string }[];
  errorCount: number;
}

type Changed = SinceThen['changed'][number];

/**
 * Puts a range back to a moment.
 *
 * It takes the keys as they are when it begins, and writes in chunks, each key on the condition that it still is what it was then: what
 * others change meanwhile is newer than the wish to go back, and stays. Every chunk is a pipeline, and each write of it a change like
 * others. Broken off, it leaves some keys put back and others not; repeated, it does the rest.
 */
export class Restore {
  private readonly result: Restored = { restored: 0, deleted: 0, unchanged: 0, errors: [], errorCount: 0 };
  private operations: Operation[] = [];
  private bytes = 0;

  /**
   * @param isDryRun whether it only counts
   * @param isCut whether the rest has to stay, because who asked may write no more
   */
  constructor(
    private readonly database: DatabaseService,
    private readonly moment: Moment,
    private readonly isDryRun: boolean,
    private readonly isCut: () => boolean,
  ) {}

  /** @throws DatabaseError `history-gone`, `condition-required`, `not-supported`; what writes throw */
  async run(range: KeyRange): Promise<Restored> {
    if (!this.isDryRun) this.database.requireCondition(undefined);
    for await (const { changed, unchanged } of this.database.past.since(range, this.moment)) {
      this.result.unchanged += unchanged;
      for (const each of changed) await this.plan(each);
      if (this.isCut()) break;
    }
    await this.flush();
    return this.result;
  }

  private async plan(changed: Changed): Promise<void> {
    try {
      const operation = await this.operationFor(changed);
      if (operation) {
        this.operations.push(operation);
        this.bytes += sizeOf(operation);
      }
    } catch (error) {
      // What the log has lost, and what the disk has damaged, concerns one key.
      if (!(error instanceof DatabaseError && (error.code === 'history-gone' || error.code === 'corrupt')))
        throw error;
      this.fail(changed.key, error);
    }
    if (this.operations.length >= CHUNK_OPERATIONS || this.bytes >= CHUNK_BYTES) await this.flush();
    else await giveWay();
  }

  /** Returns what makes a key what it was; undefined if it is that. */
  private async operationFor({ key, etag }: Changed): Promise<Operation | undefined> {
    const { entry, value } = await this.database.past.version(key, this.moment);
    const condition = etag === undefined ? ({ ifNoneMatch: '*' } as const) : { ifMatch: [etag] };
    if (!entry || isOver(entry, this.database.now()))
      return etag === undefined ? undefined : { op: 'delete', key, condition };
    if (etag !== undefined && (await this.isSame(key, entry, value))) {
      this.result.unchanged++;
      return undefined;
    }
    if (!value) throw tooLarge(entry.size);
    const expiry = entry.expires === 0 ? 'never' : { at: entry.expires };
    return { op: 'put', key, value, type: entry.type, expiry, condition };
  }

  /** Whether an entry is what it was. */
  private async isSame(key: string, before: EntryHeader, value: Buffer | undefined): Promise<boolean> {
    const now = await this.database.head(key).catch(unlessMissing);
    if (now?.etag === before.etag) return true;
    if (now?.size !== before.size || now.type !== before.type || now.expires !== before.expires) return false;
    return value !== undefined && (await this.database.find(key))?.value.equals(value) === true;
  }

  private async flush(): Promise<void> {
    const { operations } = this;
    this.operations = [];
    this.bytes = 0;
    if (operations.length === 0) return;
    const outcomes = this.isDryRun ? [] : await this.database.batch(operations, false);
    assertReached(outcomes);
    for (const [i, { op, key }] of operations.entries()) {
      const outcome = outcomes[i];
      if (outcome instanceof DatabaseError) this.fail(key, outcome);
      else if (op === 'put') this.result.restored++;
      else this.result.deleted++;
    }
  }

  private fail(key: string, { code, detail }: DatabaseError): void {
    const isNewer = code === 'precondition-failed';
    const text = isNewer ? 'It was changed meanwhile, and stays as it is.' : detail;
    if (this.result.errorCount++ < MOST_ERRORS) this.result.errors.push({ key, code, detail: text });
  }
}

/** An entry that has expired meanwhile is another one. */
function unlessMissing(error: unknown): undefined {
  if (!(error instanceof MissingKeyError)) throw error;
}

function isOver({ expires }: EntryHeader, now: number): boolean {
  return expires !== 0 && expires <= now;
}

function tooLarge(size: number): DatabaseError {
  return new DatabaseError(
    'history-gone',
    `Its value of ${size} bytes is too large for the log, which does not keep it.`,
  );
}
