import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError, StartError } from '../errors.js';
import type { Entry } from '../storage/entry.js';
import type { BatchOperation } from '../storage/operation.js';
import { MIGRATION, type StorageEngine } from '../storage/storage-engine.js';
import { ChangedKeys } from './changed-keys.js';
import { differences, newSide } from './differences.js';
import { Progress } from './progress.js';

const LOOK_EVERY_MS = 100;
const BATCH_ENTRIES = 500;
const BATCH_BYTES = 2 * 2 ** 20;
const BATCHES_AT_ONCE = 4;
const RETRY_EVERY_MS = 500;
const MAX_RETRIES = 60;
const MAX_REPAIRS = 3;

/** What a migration came to. */
export interface Migrated {
  readonly entries: number;
  readonly sha256: string;
}

/**
 * Moves a database to another engine while its server runs.
 *
 * Design: the target becomes the source by comparing the two in key order and writing what differs; on an empty target that
 * is a copy, after an interruption it is the rest. Meanwhile and afterwards the change log tells which keys have changed,
 * and each is copied again as it then is, so that neither order nor repetition matters. The switch is stopping the old
 * server: once no process writes to the source, what is left is copied, and everything is compared once more. Guarantee: it
 * ends well only if count and checksum of both sides agree. A target that is not finished carries a mark, by which servers
 * refuse it, and a second run goes on.
 */
export class Migration {
  private readonly writing = new Set<Promise<void>>();

  constructor(
    private readonly source: StorageEngine,
    private readonly target: StorageEngine,
    /** What the target is marked with. */
    private readonly from: string,
    private readonly say: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws StartError if the target holds something else, or differs in the end; AbortError */
  async run(): Promise<Migrated> {
    await this.claimTarget();
    const changed = new ChangedKeys(this.source, this.signal);
    await changed.start();
    try {
      await this.copy();
      while (!(await this.follow(changed))) {
        this.say('The change log has moved past the copy, so that the two are compared again.');
        await changed.start();
        await this.copy();
      }
    } finally {
      changed.stop();
    }
    const migrated = await this.verify();
    await this.copySystem();
    await this.target.system.delete(MIGRATION);
    return migrated;
  }

  private async claimTarget(): Promise<void> {
    const mark = (await this.target.system.get(MIGRATION))?.toString();
    if (mark !== undefined && mark !== this.from) {
      throw new StartError(
        `The target is half of a migration from ${mark}. Finish that one, or name another target.`,
      );
    }
    const entries = mark === undefined ? await this.target.count('') : 0;
    if (entries > 0)
      throw new StartError(`The target holds ${entries} entries. Name an empty one; nothing was changed.`);
    await this.target.system.put(MIGRATION, Buffer.from(this.from));
  }

  private async copy(): Promise<void> {
    const total = await this.source.count('');
    this.say(`Copying ${total} entries.`);
    const seen = { original: newSide(), copy: newSide() };
    const progress = new Progress('Copying', total);
    const start = performance.now();
    let batch: BatchOperation[] = [];
    let bytes = 0;
    for await (const { key, entry } of differences(this.source, this.target, seen)) {
      batch.push(operationFor(key, entry));
      bytes += entry?.size ?? 0;
      progress.show(seen.original.count);
      if (batch.length < BATCH_ENTRIES && bytes < BATCH_BYTES) continue;
      await this.enqueue(batch);
      batch = [];
      bytes = 0;
    }
    await this.enqueue(batch);
    await this.settle();
    progress.clear();
    this.say(`Copied ${seen.original.count} entries in ${secondsSince(start)}.`);
  }

  /** Copies what changes until the source's servers have stopped. False if the log could not be followed. */
  private async follow(changed: ChangedKeys): Promise<boolean> {
    let told = false;
    for (;;) {
      this.signal.throwIfAborted();
      // Asked before the log is read: who has stopped by then has written its last line.
      const alone = (await this.source.peers()) === 0;
      if (!(await changed.read())) return false;
      const keys = changed.take();
      if (alone) {
        if (told) this.say(`The old server has stopped; ${keys.length} changed keys are left to copy.`);
        await this.copyKeys(keys);
        return true;
      }
      if (!told) this.say('Following what changes. Stop the old server to switch.');
      told = true;
      await this.copyKeys(keys);
      if (keys.length === 0) await pause(LOOK_EVERY_MS);
    }
  }

  private async copyKeys(keys: readonly string[]): Promise<void> {
    for (let i = 0; i < keys.length; i += BATCH_ENTRIES) {
      const some = keys.slice(i, i + BATCH_ENTRIES);
      const entries = await Promise.all(some.map(async (key) => this.source.get(key)));
      await this.enqueue(some.map((key, j) => operationFor(key, entries[j])));
    }
    await this.settle();
  }

  /** Compares everything; what differs in spite of all is copied again a few times. */
  private async verify(): Promise<Migrated> {
    for (let repairs = 0; ; repairs++) {
      const seen = { original: newSide(), copy: newSide() };
      const progress = new Progress('Verifying', await this.source.count(''));
      const wrong: string[] = [];
      for await (const { key } of differences(this.source, this.target, seen)) {
        wrong.push(key);
        progress.show(seen.original.count);
        this.signal.throwIfAborted();
      }
      progress.clear();
      const { count } = seen.original;
      const [sha256, copied] = [seen.original.hash.digest('hex'), seen.copy.hash.digest('hex')];
      if (wrong.length === 0 && sha256 === copied) {
        this.say(`Verified: ${count} entries on both sides, sha256 ${sha256}, 0 differences.`);
        return { entries: count, sha256 };
      }
      if (repairs === MAX_REPAIRS) {
        throw new StartError(
          `The copy differs in ${wrong.length} keys, such as ${JSON.stringify(wrong[0])}.`,
        );
      }
      this.say(`${wrong.length} keys differ and are copied again.`);
      await this.copyKeys(wrong);
    }
  }

  private async copySystem(): Promise<void> {
    for (const { name, value } of await this.source.system.list(''))
      await this.target.system.put(name, value);
  }

  /** Has some batches written at once. */
  private async enqueue(batch: readonly BatchOperation[]): Promise<void> {
    this.signal.throwIfAborted();
    if (batch.length === 0) return;
    while (this.writing.size >= BATCHES_AT_ONCE) await Promise.race(this.writing);
    const write: Promise<void> = this.write(batch).finally(() => this.writing.delete(write));
    this.writing.add(write);
    write.catch(() => undefined); // `settle` hears of it, or the next `enqueue`
  }

  private async settle(): Promise<void> {
    await Promise.all(this.writing);
  }

  /** Every operation may be repeated, so that a failover or a full queue only takes time. */
  private async write(batch: readonly BatchOperation[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const outcomes = await this.target.batch(batch, false);
        const refused = outcomes.find((outcome) => outcome instanceof DatabaseError);
        if (refused) throw refused;
        return;
      } catch (error) {
        const passing = error instanceof DatabaseError && PASSING.has(error.code);
        if (!passing || tries === MAX_RETRIES) throw error;
        await pause(RETRY_EVERY_MS, undefined, { signal: this.signal });
      }
    }
  }
}

const PASSING = new Set(['busy', 'unavailable', 'outcome-unknown']);

function operationFor(key: string, entry: Entry | undefined): BatchOperation {
  if (!entry) return { op: 'delete', key };
  const { value, type, expires } = entry;
  return { op: 'put', key, value, type, expiry: expires === 0 ? 'never' : { at: expires } };
}

function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
