import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BUILT } from '../../../built-files.js';
import { DatabaseError } from '../../../errors.js';
import { DATA } from '../folder.js';
import type { GroupCommit } from '../group-commit.js';
import type { Scans } from '../scans.js';
import type { Store } from '../store.js';
import type { SliceReply, SliceRequest } from './reader.js';
import { readScrubRecord, type ScrubRecord } from './scrub-record.js';
import { START, type Place } from './slice.js';

const READER = fileURLToPath(new URL('storage/lmdb/scrub/reader.js', BUILT));
/** A hundredth of a processor, on average from the start of a pass to that of the next. */
const SHARE = 1 / 100;
const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;

/**
 * The background check: reads the data file through, over and over, to find what the disk has damaged before a user does.
 *
 * Problem: damage shows when it is read, and what nobody reads for a year is then in no backup any more. Reading everything
 * costs processor, pushes other data out of the memory of the system, and a snapshot of it would pin what is overwritten. Design:
 * a child process reads slices of 10 ms (reader.ts), without LMDB, which dies of damaged pages. For each this process holds a
 * new snapshot, and then waits until the child has had a hundredth of the time. The kernel drops pages that were read once before
 * those that are used, and at this pace it has time to. Where a pass is, is noted every minute, and after a pass that found something the next begins within a day. Guarantee: a pass reads every
 * entry that is in the store from its beginning to its end; nothing is pinned for longer than a slice. A child that dies is
 * reported, and another goes on at the same place. Left out: what only the whole of one snapshot shows (check.ts), and pages
 * in the memory of the system whose bytes on the disk have changed since; a later pass reads those.
 */
export class Scrub {
  private readonly stopping = new AbortController();
  private readonly path: string;
  private child: ChildProcess | undefined;

  /** @param every from the end of a pass to the beginning of the next, milliseconds */
  constructor(
    private readonly store: Store,
    private readonly scans: Scans,
    private readonly commits: GroupCommit,
    private readonly every: number,
  ) {
    this.path = join(store.folder, DATA);
    void this.run();
  }

  stop(): void {
    this.stopping.abort();
    this.endChild();
  }

  private async run(): Promise<void> {
    // The start of the server and of its clients comes first.
    const rest = Math.min(this.every, MINUTE_MS);
    try {
      for (let earliest = Date.now() + rest; ;) {
        await this.wait(earliest - Date.now());
        await this.untilDue();
        const startedAt = Date.now();
        const spent = await this.pass().catch((error: unknown) => this.explain(error));
        earliest = startedAt + Math.max(rest, spent / SHARE);
      }
    } catch (error) {
      if (!this.stopping.signal.aborted) this.store.faults.note(error);
    }
  }

  private async untilDue(): Promise<void> {
    for (;;) {
      const { finished, faults, place } = readScrubRecord(this.store);
      const now = Date.now();
      const every = faults > 0 ? Math.min(this.every, DAY_MS) : this.every;
      // A clock that was ahead must not put it off.
      const due = place ? now : Math.min(finished, now) + every;
      if (due <= now) return;
      await this.wait(Math.min(due - now, DAY_MS));
    }
  }

  /** Reads on from where the record says to the end. Returns the processor time that it took, milliseconds. */
  private async pass(): Promise<number> {
    const { finished, faults, found: before, place: start = START } = readScrubRecord(this.store);
    let found = before;
    let notedAt = Date.now();
    let spent = 0;
    const startedAt = Date.now();
    for (let place: Place | undefined = start; place;) {
      const here: ScrubRecord = { finished, faults, found, place };
      const slice: SliceReply = await this.readSlice(place).catch(async (error: unknown) => {
        await this.note(here);
        throw error;
      });
      for (const fault of slice.faults) this.store.faults.note(new DatabaseError('corrupt', fault));
      found += slice.faults.length;
      place = slice.next;
      spent = slice.spent;
      if (!place) break;
      if (slice.faults.length > 0 || Date.now() - notedAt >= MINUTE_MS) {
        await this.note({ finished, faults, found, place });
        notedAt = Date.now();
      }
      await this.wait(startedAt + spent / SHARE - Date.now());
    }
    this.endChild();
    await this.note({ finished: Date.now(), faults: found, found: 0 });
    return spent;
  }

  private readSlice(place: Place): Promise<SliceReply> {
    return this.scans.hold(async () => {
      const child = (this.child ??= startReader());
      const ended = new AbortController();
      const { signal } = ended;
      child.send({ path: this.path, place } satisfies SliceRequest, () => undefined);
      try {
        const reply = once(child, 'message', { signal }).then(([slice]) => slice as SliceReply);
        return await Promise.race([reply, endOf(child, signal)]).catch((error: unknown) => {
          if (error instanceof Ended) throw new DatabaseError('internal', textOf(error, place));
          throw error;
        });
      } finally {
        ended.abort();
      }
    });
  }

  private endChild(): void {
    if (this.child?.connected) this.child.disconnect();
    this.child = undefined;
  }

  /** What a pass could not do is done by the next, which goes on there. */
  private explain(error: unknown): number {
    if (this.stopping.signal.aborted) throw error;
    this.endChild();
    if (!(error instanceof DatabaseError && error.code === 'unavailable')) this.store.faults.note(error);
    return 0;
  }

  private async note(record: ScrubRecord): Promise<void> {
    this.stopping.signal.throwIfAborted();
    await this.commits.submit(0, () => this.store.writeScrubbed(Buffer.from(JSON.stringify(record))));
  }

  private async wait(ms: number): Promise<void> {
    const { signal } = this.stopping;
    signal.throwIfAborted();
    if (ms > 0) await pause(ms, undefined, { ref: false, signal });
  }
}

/** Starts a process that keeps this one from nothing, not even from ending. */
function startReader(): ChildProcess {
  const child = fork(READER, { execArgv: [], stdio: 'ignore' });
  child.on('error', () => undefined).unref();
  child.channel!.unref();
  return child;
}

/** How a reader ended before its time. */
class Ended extends Error {}

/** Rejects when the process ends, or has ended. @throws Ended */
async function endOf(child: ChildProcess, signal: AbortSignal): Promise<never> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit', { signal });
  throw new Ended(child.signalCode ?? `code ${child.exitCode}`);
}

function textOf({ message }: Ended, { tree, from }: Place): string {
  const key = Buffer.from(from, 'base64').toString();
  const where = from === '' ? `the beginning of ${tree}` : `${JSON.stringify(key)} of ${tree}`;
  return `The background check ended (${message}) as it read from ${where}. It will go on there.`;
}
