import type { Database, Key, RootDatabase } from 'lmdb';
import { setImmediate } from 'node:timers';
import type { Steps } from '../steps.js';

/** The library's figures of a tree. */
export interface TreeStats {
  readonly pageSize: number;
  readonly entryCount: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** What the library's reads look at: in an open write transaction they would see what is not committed. */
interface Insides {
  readonly env: { writeTxn: object | null };
}

/*
 * Pauses inside a write transaction, in which others are served.
 *
 * Problem: what is all or nothing needs one transaction, and 16 MiB of it take 50 ms and more, in which the event loop would
 * stand still. Design: the transaction's callback does the first of its steps and returns the rest, of which each has a turn
 * of the event loop. LMDB's write lock is held meanwhile, by the same thread. Reads pass by the open transaction: its mark is
 * put aside, a range is read in a read transaction of its own, and figures of the trees, which the library would take from the
 * open transaction, are those of its beginning. Guarantee: whoever reads in a pause sees the last commit. Nobody writes in a
 * pause, because GroupCommit runs one transaction at a time.
 */
export class Pauses {
  private readonly insides: Insides;
  private readonly databases: Database<Buffer, Key>[] = [];
  /** What the library says of each database when a transaction begins that may pause. */
  private figures = new Map<unknown, TreeStats>();
  private isPaused = false;

  constructor(root: RootDatabase<Buffer, string>) {
    this.insides = root as unknown as Insides;
  }

  add(database: Database<Buffer, Key>): void {
    this.databases.push(database);
  }

  /** Has the present transaction, which has changed nothing yet, pause later. */
  prepare(): void {
    this.figures = new Map(this.databases.map((each) => [each, each.getStats() as TreeStats]));
  }

  /** Does the rest of a transaction's work, after a pause before each step. */
  async run(rest: Steps<void>): Promise<void> {
    const { env } = this.insides;
    const { writeTxn } = env;
    do {
      env.writeTxn = null;
      this.isPaused = true;
      await new Promise<void>((resolve) => setImmediate(resolve));
      env.writeTxn = writeTxn;
      this.isPaused = false;
    } while (!rest.next().done);
  }

  /** Returns the library's figures of a tree as they are on the disk. */
  statsOf(database: Database<Buffer, Key>): TreeStats {
    return this.isPaused ? this.figures.get(database)! : (database.getStats() as TreeStats);
  }

  /** Whether ranges need a read transaction of their own. */
  get areUnderWay(): boolean {
    return this.isPaused;
  }
}
