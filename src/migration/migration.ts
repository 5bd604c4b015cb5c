import { setTimeout as pause } from 'node:timers/promises';
import { StartError } from '../errors.js';
import { ALL_KEYS } from '../storage/key-range.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { MIGRATION } from '../storage/system-keyspace.js';
import { ChangedKeys } from './changed-keys.js';
import { compare, type Comparison } from './comparison.js';
import { Copier } from './copier.js';
import { refuseSource, refuseTarget, type Names } from './claim.js';
import { Retry, unfinished } from './retry.js';

const POLL_MS = 100;
/** The source must be closed for so long: a server that loses its connections for a moment has not stopped. */
const QUIET_MS = 2_000;
/** Within this time a server that runs finds the fence, and refuses reads too. */
const NOTICED_AFTER_MS = 2_000;
const SLOW_MS = 3_000;
const HELD_UP =
  'The old database is held up, perhaps by a process that is paused in the middle of a write. Waiting for it.';
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
 * neither order nor repetition matters. To switch, the operator stops the old server. Once no process has the source open,
 * or at once if the operator says so, the source gets a fence that names the target: from then on no server changes it, not
 * even one that was only paused or cut off. What is left is copied and everything is compared once more.
 *
 * Guarantee: it succeeds only if both databases have the same entries, byte for byte, and no write to the source was
 * acknowledged since that the target lacks. Until then the target has a mark: servers refuse such a database, and a second
 * run continues with it. A target whose fence names the source has been left for it: it is brought back to the source's
 * state, and its fence holds off others until it is.
 */
export class Migration {
  private readonly retry: Retry;
  private fenced = false;
  /** On the clock of `performance`. */
  private fencedAt = 0;
  private comesBack = false;

  constructor(
    private readonly source: StorageEngine,
    /** Opened so that it passes its fence. */
    private readonly target: StorageEngine,
    private readonly names: Names,
    private readonly output: MigrationOutput,
    private readonly signal: AbortSignal,
    /** Whether to switch although servers have the source open. */
    private readonly switchesAtOnce = false,
  ) {
    this.retry = new Retry(output.line, signal);
  }

  /** Whether the source has its fence, or may have it. */
  get isFenced(): boolean {
    return this.fenced;
  }

  /** @throws StartError if the target cannot be used, does not answer any more or still differs in the end; AbortError */
  async run(): Promise<void> {
    await this.retry.run(() => this.claim());
    const changed = new ChangedKeys(this.source);
    try {
      await this.copy(changed);
      do {
        await this.follow(changed);
        await this.fence();
        await this.drain(changed);
        await this.verify();
        await this.retry.run(() => this.copySystem());
      } while (!(await this.finish(changed)));
    } finally {
      changed.stop();
    }
  }

  private async claim(): Promise<void> {
    const { source, target, names } = this;
    await refuseSource(source, names);
    this.fenced = (await source.fence()) !== undefined;
    const { mark, comesBack } = await refuseTarget(target, names);
    this.comesBack = comesBack;
    await target.system.put(MIGRATION, Buffer.from(names.source));
    // After the mark is set: a server that starts now refuses the target, and one that started before is found.
    const refusal = await this.refusalOfPair();
    if (refusal !== undefined) {
      if (mark === undefined) await target.system.delete(MIGRATION);
      throw new StartError(refusal);
    }
    if (comesBack) this.output.line('The target was left for the source: it is brought to the same state.');
  }

  private async refusalOfPair(): Promise<string | undefined> {
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

  /** Copies changed keys until no server has had the source open for a while, or the source has its fence. */
  private async follow(changed: ChangedKeys): Promise<void> {
    let following = false;
    let closedSince: number | undefined;
    for (;;) {
      const { closed, at, logEnded } = await this.retry.run(() => this.checkSource(changed));
      if (changed.isLost) {
        await this.copyAgain(changed);
        continue;
      }
      closedSince = closed ? (closedSince ?? at) : undefined;
      const waits = !closed && !this.fenced && !this.switchesAtOnce;
      const keys = changed.take();
      if (closed && following)
        this.output.line(`The old server has stopped; ${keys.size} changed keys are left to copy.`);
      if (waits && !following) this.output.line('Following what changes. Stop the old server to switch.');
      following = waits;
      await this.retry.run(() => this.copyKeys(keys));
      const isQuiet = closedSince !== undefined && at - closedSince >= QUIET_MS;
      if (logEnded && (isQuiet || this.fenced || this.switchesAtOnce)) return;
      if (keys.size === 0) await pause(POLL_MS);
    }
  }

  private async copyAgain(changed: ChangedKeys): Promise<void> {
    this.output.line('The change log has moved past the copy, so the two are compared again.');
    await this.copy(changed);
  }

  /** Has every process refuse writes to the source. A write that is under way there has to end first. */
  private async fence(): Promise<void> {
    const isFirst = !this.fenced;
    this.fenced = true;
    const late = setTimeout(() => this.output.line(HELD_UP), SLOW_MS);
    try {
      await this.retry.run(() => this.source.setFence(this.names.target));
    } finally {
      clearTimeout(late);
    }
    this.fencedAt = performance.now();
    if (isFirst) this.output.line('The old database takes no more writes.');
  }

  /** Copies what was written before the fence. */
  private async drain(changed: ChangedKeys): Promise<void> {
    for (let ended = false; !ended;) {
      ended = await this.retry.run(() => changed.read());
      if (changed.isLost) return this.copyAgain(changed);
      await this.retry.run(() => this.copyKeys(changed.take()));
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

  /** Removes the mark, unless the source has changed in spite of its fence, which a failover can undo. Returns whether it did. */
  private async finish(changed: ChangedKeys): Promise<boolean> {
    const { source, target, names, retry } = this;
    const rest = this.fencedAt + NOTICED_AFTER_MS - performance.now();
    if (rest > 0 && (await retry.run(async () => source.peers())) > 0)
      await pause(rest, undefined, { signal: this.signal });
    await retry.run(() => source.setFence(names.target));
    if (!(await retry.run(() => changed.read())) || changed.hasKeys) {
      this.output.line('The old database was written to again.');
      return false;
    }
    if (this.comesBack) await retry.run(() => target.setFence(undefined));
    await retry.run(() => target.system.delete(MIGRATION));
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
