import { setTimeout as pause } from 'node:timers/promises';
import { StartError } from '../errors.js';
import { MIGRATION, type StorageEngine } from '../storage/storage-engine.js';
import { ChangedKeys } from './changed-keys.js';
import { compare, type Comparison } from './comparison.js';
import { Copier } from './copier.js';
import { Retry, unfinished } from './retry.js';
import { Progress } from './progress.js';

const LOOK_EVERY_MS = 100;
/** For so long nobody may have the source open: a server that lost its connections for a moment has not stopped. */
const QUIET_MS = 2_000;
const MAX_REPAIRS = 3;
/** Of changed keys that are read at once. */
const PORTION_KEYS = 500;
const PORTION_BYTES = 2 * 2 ** 20;

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
 * server: once no process has the source open, what is left is copied, and everything is compared once more; should one
 * have come back meanwhile, all that begins again. Guarantee: it ends well only if both sides have the same entries, byte
 * for byte, and nobody has written to the source since. A target that is not finished carries a mark, by which servers
 * refuse it, and a second run goes on.
 */
export class Migration {
  private readonly patience: Retry;

  constructor(
    private readonly source: StorageEngine,
    private readonly target: StorageEngine,
    /** What the target is marked with. */
    private readonly from: string,
    private readonly say: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {
    this.patience = new Retry(say, signal);
  }

  /** @throws StartError if the target is of no use, cannot be reached any more or differs in the end; AbortError */
  async run(): Promise<Migrated> {
    await this.patience.persist(() => this.claimTarget());
    const changed = new ChangedKeys(this.source);
    try {
      await this.copy(changed);
      for (;;) {
        const stopped = await this.follow(changed);
        const migrated = await this.verify();
        await this.patience.persist(() => this.copySystem());
        if (await this.isOver(changed, stopped)) return migrated;
      }
    } finally {
      changed.stop();
    }
  }

  private async claimTarget(): Promise<void> {
    const { source, target, from } = this;
    const origin = (await source.system.get(MIGRATION))?.toString();
    if (origin !== undefined)
      throw new StartError(`The source is itself half of a migration from ${origin}.`);
    const mark = (await target.system.get(MIGRATION))?.toString();
    if (mark !== undefined && mark !== from)
      throw new StartError(
        `The target is half of a migration from ${mark}. Finish that one, or name another target.`,
      );
    const entries = mark === undefined ? await target.count('') : 0;
    if (entries > 0)
      throw new StartError(`The target holds ${entries} entries. Name an empty one; nothing was changed.`);
    await target.system.put(MIGRATION, Buffer.from(from));
    // Asked when the mark is there: a server that starts now sees it, and one that did before is seen.
    const refusal = await this.whyTargetIsInUse();
    if (refusal === undefined) return;
    if (mark === undefined) await target.system.delete(MIGRATION);
    throw new StartError(refusal);
  }

  private async whyTargetIsInUse(): Promise<string | undefined> {
    if (await this.source.system.get(MIGRATION)) return 'The two databases are the same one.';
    const others = await this.target.peers();
    return others > 0
      ? 'The target is open in another process, a server or a migration. Stop that first.'
      : undefined;
  }

  /** Has the target become as the source is; `changed` begins with what changes meanwhile. */
  private async copy(changed: ChangedKeys): Promise<void> {
    await this.patience.persist(() => changed.start());
    this.say(`Copying ${await this.patience.persist(async () => this.source.count(''))} entries.`);
    const start = performance.now();
    const { entries, differences } = await this.align('Copying', false);
    this.say(`Copied ${differences} of ${entries} entries in ${secondsSince(start)}.`);
  }

  /** Copies what changes until the source's servers have stopped. Answers when that was seen. */
  private async follow(changed: ChangedKeys): Promise<number> {
    let following = false;
    for (;;) {
      const { alone, seen, atEnd } = await this.patience.persist(() => this.look(changed));
      if (changed.isLost) {
        this.say('The change log has moved past the copy, so that the two are compared again.');
        await this.copy(changed);
        continue;
      }
      const keys = changed.take();
      if (alone && following)
        this.say(`The old server has stopped; ${keys.size} changed keys are left to copy.`);
      if (!alone && !following) this.say('Following what changes. Stop the old server to switch.');
      following = !alone;
      await this.patience.persist(() => this.copyKeys(keys));
      if (alone && atEnd) return seen;
      if (keys.size === 0) await pause(LOOK_EVERY_MS);
    }
  }

  /** Whoever has stopped before the log is read has written its last line. */
  private async look(changed: ChangedKeys): Promise<{ alone: boolean; seen: number; atEnd: boolean }> {
    const alone = (await this.source.peers()) === 0;
    const seen = performance.now();
    return { alone, seen, atEnd: await changed.read() };
  }

  private async copyKeys(keys: ReadonlyMap<string, number>): Promise<void> {
    const copier = new Copier(this.target, this.patience);
    try {
      for (const some of portionsOf(keys)) {
        const entries = await Promise.all(some.map(async (key) => this.source.get(key)));
        for (const [i, key] of some.entries()) await copier.add(key, entries[i]);
      }
      await copier.finish();
    } finally {
      await copier.settle();
    }
  }

  /** Compares everything; what differs in spite of all is copied again a few times. */
  private async verify(): Promise<Migrated> {
    for (let repairs = 0; repairs <= MAX_REPAIRS; repairs++) {
      const { entries, differences, sha256 } = await this.align('Verifying', true);
      if (differences === 0) {
        this.say(`Verified: ${entries} entries on both sides, 0 differences, sha256 ${sha256}.`);
        return { entries, sha256 };
      }
      this.say(`${differences} keys differed and were copied again.`);
    }
    throw unfinished(`The copy still differs after it was mended ${MAX_REPAIRS + 1} times.`);
  }

  private align(what: string, still: boolean): Promise<Comparison> {
    return this.patience.persist(async () => {
      const progress = new Progress(what, await this.source.count(''));
      const copier = new Copier(this.target, this.patience);
      try {
        const comparison = await compare(this.source, this.target, {
          still,
          differs: (key, entry) => copier.add(key, entry),
          visited: (count) => progress.show(count),
          signal: this.signal,
        });
        await copier.finish();
        return comparison;
      } finally {
        // What is still under way must not arrive behind what is written next.
        await copier.settle();
        progress.clear();
      }
    });
  }

  /** The log does not tell of these, so they are copied when nobody changes them any more. */
  private async copySystem(): Promise<void> {
    const records = await this.source.system.list('');
    const names = new Set([MIGRATION, ...records.map(({ name }) => name)]);
    for (const { name } of await this.target.system.list(''))
      if (!names.has(name)) await this.target.system.delete(name);
    for (const { name, value } of records) await this.target.system.put(name, value);
  }

  /** Ends the migration, unless somebody has used the source since it was `stopped`. */
  private async isOver(changed: ChangedKeys, stopped: number): Promise<boolean> {
    const rest = stopped + QUIET_MS - performance.now();
    if (rest > 0) await pause(rest, undefined, { signal: this.signal });
    const { alone, atEnd } = await this.patience.persist(() => this.look(changed));
    if (!alone || !atEnd || changed.hasKeys) {
      this.say('The source is in use again.');
      return false;
    }
    await this.patience.persist(() => this.target.system.delete(MIGRATION));
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
