import type { StoredEntry } from '../record.js';
import { EntriesReader, Gap } from '../pages/entries.js';
import { readHead } from '../pages/head.js';
import type { PageFile } from '../pages/page-file.js';
import { PageSet } from '../pages/page-set.js';
import { findSnapshot, type Snapshot } from '../pages/snapshot.js';
import { after, FIRST_KEY } from '../pages/tree.js';
import type { Head } from '../store-format.js';
import { Gaps } from './gaps.js';
import { LostEntries } from './lost-entries.js';
import { oldPages } from './old-pages.js';
import { newKeysIn } from './versions.js';

/** What a salvage found. */
export interface SalvageReport {
  /** Entries that the tree gives, as a server would read them. */
  whole: number;
  /** Entries found elsewhere that are certainly as they were last written. */
  recovered: number;
  /** Entries found elsewhere that may be older, or may have been deleted since. */
  uncertain: number;
  /** Entries of the three kinds that have expired and are left out. */
  expired: number;
  /** How many entries the store says it has; undefined if that cannot be read. */
  expected: number | undefined;
  /** Pages that are damaged, or that the disk does not read. */
  damagedPages: number;
}

/** Who follows a salvage. */
interface SalvageObserver {
  /** Called with the page that is being searched. */
  readonly show?: (page: number) => void;
  /** Called with each entry that may be older than what was last written, or deleted since. */
  readonly uncertain?: (entry: StoredEntry) => void;
}

const ignore = (): void => undefined;

/**
 * Reads what is whole in a data file, page by page and without LMDB, which dies of damaged pages.
 *
 * First the tree of the last commit, whose entries are as a server would read them. What it cannot give leaves gaps, and only
 * for the keys in gaps are the other pages of the file searched (lost-entries.ts). So of a sound file the result is the same as
 * an export, and a key that was deleted can come back only from a gap.
 */
export class Salvage {
  readonly report: SalvageReport = {
    whole: 0,
    recovered: 0,
    uncertain: 0,
    expired: 0,
    expected: undefined,
    damagedPages: 0,
  };
  private readonly snapshot: Snapshot | undefined;
  private readonly head: Head | undefined;
  private readonly gaps = new Gaps();
  private readonly read: PageSet;
  private readonly damaged = new Set<number>();

  /** @param now what has expired by then is left out, milliseconds since 1970 */
  constructor(
    private readonly file: PageFile,
    private readonly observer: SalvageObserver = {},
    private readonly now = Date.now(),
  ) {
    const { snapshot } = findSnapshot(file);
    this.snapshot = snapshot;
    this.head = snapshot && readHead(file, snapshot);
    this.report.expected = snapshot?.trees.entries.entries;
    this.read = new PageSet(Math.max(file.length, (snapshot?.lastPage ?? 0) + 1));
  }

  /** Every entry that can be had: those of the tree in key order, then the others. */
  *entries(): Iterable<StoredEntry> {
    if (this.snapshot) yield* this.readTree(this.snapshot);
    else this.gaps.add({ from: FIRST_KEY, to: undefined });
    if (!this.gaps.isEmpty) yield* this.searchGaps();
    this.report.damagedPages = this.damaged.size + this.file.unreadable;
  }

  private *readTree(snapshot: Snapshot): Iterable<StoredEntry> {
    const { show = ignore } = this.observer;
    if (!snapshot.isLatest && this.head) this.findNewer(snapshot, this.head.sequence);
    for (const found of new EntriesReader(this.file, snapshot, this.read).read()) {
      if (found instanceof Gap) {
        this.gaps.add(found);
        this.damaged.add(found.page);
        continue;
      }
      show(this.read.size);
      if (snapshot.isLatest || !this.gaps.has(Buffer.from(found.key))) {
        this.report.whole++;
        yield* this.live(found);
      }
    }
  }

  private *searchGaps(): Iterable<StoredEntry> {
    const { snapshot, read, damaged } = this;
    const { show = ignore } = this.observer;
    const lost = new LostEntries(this.file, this.gaps, { snapshot, read, damaged }, show);
    for (const { entry, isCertain } of lost.find(this.report.whole, this.head)) {
      if (isCertain) this.report.recovered++;
      else this.report.uncertain++;
      for (const live of this.live(entry)) {
        if (!isCertain) this.observer.uncertain?.(live);
        yield live;
      }
    }
  }

  /** Makes gaps of the keys that a commit after the snapshot has changed, of which only that one's page of trees is lost. */
  private findNewer(snapshot: Snapshot, sequence: number): void {
    const { show = ignore } = this.observer;
    const read = new PageSet(this.file.length);
    const known = { snapshot, read, damaged: this.damaged, free: undefined };
    for (const page of oldPages(this.file, known, show)) {
      for (const key of newKeysIn(this.file, page, sequence)) this.gaps.add({ from: key, to: after(key) });
    }
  }

  private *live(entry: StoredEntry): Iterable<StoredEntry> {
    const now = Math.max(this.now, this.head?.now ?? 0);
    if (entry.expires === 0 || entry.expires > now) yield entry;
    else this.report.expired++;
  }
}
