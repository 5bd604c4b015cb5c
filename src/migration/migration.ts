import { setTimeout as pause } from 'node:timers/promises';
import { StartError } from '../errors.js';
import { ALL_KEYS } from '../storage/key-range.js';
import { MIGRATION, type StorageEngine } from '../storage/storage-engine.js';
import { ChangedKeys } from './changed-keys.js';
import { compare, type Comparison } from './comparison.js';
import { Copier } from './copier.js';
import { Retry, unfinished } from './retry.js';

const POLL_MS = 100;
/** The source must be closed for so long: a server that loses its connections for a moment has not stopped. */
const QUIET_MS = 2_000;
const MAX_REPAIRS = 3;
/** How many changed keys, and bytes of their values, are read at once. */
const PORTION_KEYS = 500;
const PORTION_BYTES = 2 * 2 ** 20;

/** Shows the user how far a migration is. */
export interface MigrationOutput {
  /** Called with one line for each step. */
  readonly line: (text: string) => void;
  /** Called before a walk over `total` entries. Returns a function that is called with the number done. */
  readonly startProgress: (title: string, total: number) => (done: number) => void;
}

/** The state of the source at one moment. */
interface SourceState {
  /** Whether no other process had the source open. */
  readonly closed: boolean;
  /** When that was asked, on the clock of `performance`. */
  readonly at: number;
  /** Whether the change log was then read to its end. */
  readonly logEnded: boolean;
}

/**
 * Copies a database to another engine while its server runs.
 *
 * Design: comparing the two in key order and writing what differs copies everything to an empty target, and the rest after
 * an interruption. The change log tells which keys change meanwhile and afterwards; each is copied again as it then is, so
 * neither order nor repetition matters. To switch, the operator stops the old server: once no process has the source open,
 * what is left is copied and everything is compared once more; if a server has come back meanwhile, all that starts again.
 * Guarantee: it succeeds only if both databases have the same entries, byte for byte, and nobody has written to the source
 * since. Until then the target has a mark: servers refuse such a database, and a second run continues with it.
 */
export class Migration {
  private readonly retry: Retry;

  constructor(
    private readonly source: StorageEngine,
    private readonly target: StorageEngine,
    /** How the mark of the target names the source. */
    private readonly sourceName: string,
    private readonly output: MigrationOutput,
    private readonly signal: AbortSignal,
  ) {
    this.retry = new Retry(output.line, signal);
  }

  /** @throws StartError if the target cannot be used, does not answer any more or still differs in the end; AbortError */
  async run(): Promise<void> {
    await this.retry.run(() => this.claimTarget());
    const changed = new ChangedKeys(this.source);
    try {
      await this.copy(changed);
      let finished = false;
      while (!finished) {
        const closedAt = await this.follow(changed);
        await this.verify();
        await this.retry.run(() => this.copySystem());
        finished = await this.finish(changed, closedAt);
      }
    } finally {
      changed.stop();
    }
  }

  private async claimTarget(): Promise<void> {
    const { source, target, sourceName } = this;
    const origin = (await source.system.get(MIGRATION))?.toString();
    if (origin !== undefined)
      throw new StartError(`The source is the target of an unfinished migration from ${origin}.`);
    const mark = (await target.system.get(MIGRATION))?.toString();
    if (mark !== undefined && mark !== sourceName)
      throw new StartError(
        `The target belongs to an unfinished migration from ${mark}. Finish that one, or name another target.`,
      );
    const entries = mark === undefined ? (await target.count(ALL_KEYS)).keys : 0;
    if (entries > 0)
      throw new StartError(`The target holds ${entries} entries. Name an empty one; nothing was changed.`);
    await target.system.put(MIGRATION, Buffer.from(sourceName));
    // After the mark is set: a server that starts now refuses the target, and one that started before is found.
    const refusal = await this.refusalOfTarget();
    if (refusal === undefined) return;
    if (mark === undefined) await target.system.delete(MIGRATION);
    throw new StartError(refusal);
  }

  private async refusalOfTarget(): Promise<string | undefined> {
    if (await this.source.system.get(MIGRATION)) return 'The two databases are the same one.';
    const others = await this.target.peers();
    return others > 0
      ? 'The target is open in another process, a server or a migration. Stop that first.'
      : undefined;
  }

  /** Makes the target equal to the source as it is now; `changed` collects what changes from now on. */
  private async copy(changed: ChangedKeys): Promise<void> {
    await this.retry.run(() => changed.start());
    this.output.line(
      `Copying ${(await this.retry.run(async () => this.source.count(ALL_KEYS))).keys} entries.`,
    );
    const start = performance.now();
    const { entries, differences } = await this.synchronize('Copying', false);
    this.output.line(`Copied ${differences} of ${entries} entries in ${secondsSince(start)}.`);
  }

  /** Copies changed keys until no server has the source open. Returns when that was. */
  private async follow(changed: ChangedKeys): Promise<number> {
    let following = false;
    for (;;) {
      const { closed, at, logEnded } = await this.retry.run(() => this.checkSource(changed));
      if (changed.isLost) {
        this.output.line('The change log has moved past the copy, so the two are compared again.');
        await this.copy(changed);
        continue;
      }
      const keys = changed.take();
      if (closed && following)
        this.output.line(`The old server has stopped; ${keys.size} changed keys are left to copy.`);
      if (!closed && !following) this.output.line('Following what changes. Stop the old server to switch.');
      following = !closed;
      await this.retry.run(() => this.copyKeys(keys));
      if (closed && logEnded) return at;
      if (keys.size === 0) await pause(POLL_MS);
    }
  }

  /** A server that has closed the source before the log is read cannot add to it any more. */
  private async checkSource(changed: ChangedKeys): Promise<SourceState> {
    const closed = (await this.source.peers()) === 0;
    const at = performance.now();
    return { closed, at, logEnded: await changed.read() };
  }

  private async copyKeys(keys: ReadonlyMap<string, number>): Promise<void> {
    const copier = new Copier(this.target, this.retry);
    try {
      for (const portion of portionsOf(keys)) {
        const entries = await Promise.all(portion.map(async (key) => this.source.get(key)));
        for (const [i, key] of portion.entries()) await copier.add(key, entries[i]);
      }
      await copier.finish();
    } finally {
      await copier.settle();
    }
  }

  /** Compares everything. What differs nevertheless is copied again, a few times. */
  private async verify(): Promise<void> {
    for (let repairs = 0; repairs <= MAX_REPAIRS; repairs++) {
      const { entries, differences, sha256 } = await this.synchronize('Verifying', true);
      if (differences === 0)
        return this.output.line(
          `Verified: ${entries} entries on both sides, 0 differences, sha256 ${sha256}.`,
        );
      this.output.line(`${differences} keys differed and were copied again.`);
    }
    throw unfinished(`The copy still differs after it was repaired ${MAX_REPAIRS + 1} times.`);
  }

  /** Compares the two, and writes to the target what differs. */
  private synchronize(title: string, frozen: boolean): Promise<Comparison> {
    return this.retry.run(async () => {
      const onProgress = this.output.startProgress(title, (await this.source.count(ALL_KEYS)).keys);
      const copier = new Copier(this.target, this.retry);
      try {
        const comparison = await compare(this.source, this.target, {
          frozen,
          onDifference: (key, entry) => copier.add(key, entry),
          onProgress,
          signal: this.signal,
        });
        await copier.finish();
        return comparison;
      } finally {
        // A batch that is still under way must not arrive after what is written next.
        await copier.settle();
      }
    });
  }

  /** Copies the private records once nobody changes them any more: the change log does not have them. */
  private async copySystem(): Promise<void> {
    const records = await this.source.system.list('');
    const names = new Set([MIGRATION, ...records.map(({ name }) => name)]);
    for (const { name } of await this.target.system.list(''))
      if (!names.has(name)) await this.target.system.delete(name);
    for (const { name, value } of records) await this.target.system.put(name, value);
  }

  /** Removes the mark, unless a server has used the source since `closedAt`. Returns whether it did. */
  private async finish(changed: ChangedKeys, closedAt: number): Promise<boolean> {
    const rest = closedAt + QUIET_MS - performance.now();
    if (rest > 0) await pause(rest, undefined, { signal: this.signal });
    const { closed, logEnded } = await this.retry.run(() => this.checkSource(changed));
    if (!closed || !logEnded || changed.hasKeys) {
      this.output.line('The source is in use again.');
      return false;
    }
    await this.retry.run(() => this.target.system.delete(MIGRATION));
    return true;
  }
}

function* portionsOf(keys: ReadonlyMap<string, number>): Generator<string[]> {
  let portion: string[] = [];
  let bytes = 0;
  for (const [key, size] of keys) {
    portion.push(key);
    bytes += size;
    if (portion.length < PORTION_KEYS && bytes < PORTION_BYTES) continue;
    yield portion;
    [portion, bytes] = [[], 0];
  }
  if (portion.length > 0) yield portion;
}

function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
