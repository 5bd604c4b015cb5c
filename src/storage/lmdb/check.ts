import { expiryKey } from './keys.js';
import { Segment } from './log-segment.js';
import { EntriesReader, Gap } from './pages/entries.js';
import { readFreePages } from './pages/free-pages.js';
import { readFormat, readHead } from './pages/head.js';
import type { PageFile } from './pages/page-file.js';
import { PageSet } from './pages/page-set.js';
import { RecordReader } from './pages/records.js';
import { findSnapshot, type Snapshot, type Tree } from './pages/snapshot.js';
import { find } from './pages/tree.js';
import { Salvage, type SalvageReport } from './salvage/salvage.js';
import type { StoredEntry } from './record.js';
import { isReadable, STORE_FORMAT, type TreeName } from './store-format.js';
import { Tally } from './tally.js';

/** What a check found. */
export interface CheckReport {
  faults: number;
  /** Entries that are whole and where a read finds them. */
  entries: number;
  /** Pages of the file, and how many of them no tree uses. */
  pages: number;
  free: number;
  segments: number;
  /** What could be saved; only if entries are damaged. */
  salvage: SalvageReport | undefined;
}

/**
 * Reads every record, index and page of a data file, without LMDB and without changing anything.
 *
 * Each page has to be where its tree says, written by no later commit and used once; keys in order; every entry and segment of
 * the log with its checksum; every entry that expires in the index of expiries; and the counts that the trees, the head and
 * the list of free pages keep have to be those that are met.
 */
export class Check {
  readonly report: CheckReport = {
    faults: 0,
    entries: 0,
    pages: 0,
    free: 0,
    segments: 0,
    salvage: undefined,
  };
  private readonly seen: PageSet;
  private readonly snapshot: Snapshot | undefined;
  /** Pages that are used, twice if they are used twice. */
  private used = 0;
  private readonly expiring = new Tally();

  /**
   * @param tell gets a line for each fault
   * @param show is told how many pages have been read
   */
  constructor(
    private readonly file: PageFile,
    private readonly tell: (fault: string) => void,
    private readonly show: (pages: number) => void = () => undefined,
  ) {
    const { snapshot, faults } = findSnapshot(file);
    this.snapshot = snapshot;
    for (const fault of faults) this.fault(fault);
    this.report.pages = file.length;
    this.seen = new PageSet(Math.max(file.length, (snapshot?.lastPage ?? 0) + 1));
  }

  run(): CheckReport {
    const { snapshot, report } = this;
    if (!snapshot) this.fault('the page that names the trees of the last commit is lost');
    else this.readTrees(snapshot);
    if (report.entries === snapshot?.trees.entries.entries) return report;
    const salvage = new Salvage(this.file, {}, 0);
    for (const _ of salvage.entries()) this.show(this.seen.size);
    report.salvage = salvage.report;
    return report;
  }

  private readTrees(snapshot: Snapshot): void {
    const format = readFormat(this.file, snapshot);
    if (!isReadable(format))
      this.fault(`meta: the storage format is ${format ?? 'lost'}; this version reads up to ${STORE_FORMAT}`);
    this.readEntries(snapshot);
    this.readExpiry(snapshot);
    this.readLog(snapshot);
    for (const name of ['meta', 'system'] as const)
      for (const _ of this.records(snapshot, name)) this.progress();
    this.comparePages(snapshot);
  }

  private readEntries(snapshot: Snapshot): void {
    const reader = new EntriesReader(this.file, snapshot, this.seen);
    for (const found of reader.read()) {
      this.progress();
      if (found instanceof Gap) {
        this.fault(`entries, ${found.describe()}`);
        continue;
      }
      this.report.entries++;
      if (found.expires !== 0) this.expiring.add(expiryKey(found.expires, found.key));
    }
    const { entries } = this.report;
    this.compareCounts('entries', snapshot.trees.entries, {
      ...reader.counts,
      overflow: reader.overflow,
      entries,
    });
  }

  private readExpiry(snapshot: Snapshot): void {
    const indexed = new Tally();
    for (const key of this.records(snapshot, 'expiry')) indexed.add(key);
    if (indexed.equals(this.expiring)) return;
    for (const entry of new EntriesReader(this.file, snapshot, new PageSet(this.file.length)).read()) {
      if (!(entry instanceof Gap) && entry.expires !== 0) this.findExpiry(snapshot, entry);
    }
  }

  /** An index entry too many does no harm: it goes when its time comes. */
  private findExpiry({ trees }: Snapshot, { key, expires }: StoredEntry): void {
    if (find(this.file, trees.expiry.root, expiryKey(expires, key))) return;
    this.fault(
      `expiry, key ${JSON.stringify(key)}: it is missing in the index, and will be hidden but not removed`,
    );
  }

  private readLog(snapshot: Snapshot): void {
    const head = readHead(this.file, snapshot);
    if (!head) return this.fault('meta: the head of the store is lost');
    let [count, bytes, last] = [0, 0, head.log.floor.sequence];
    for (const value of this.records(snapshot, 'log', 'value')) {
      const segment = Segment.parse(value);
      if (!segment) {
        this.fault('log: a segment fails its checksum');
        continue;
      }
      this.report.segments++;
      if (segment.last.sequence <= last) this.fault('log: its segments are out of order');
      count += segment.count;
      bytes += value.length;
      last = segment.last.sequence;
    }
    if (count !== head.log.count || bytes !== head.log.bytes || last !== head.sequence)
      this.fault(
        `log: it ends at ${last} with ${count} changes, where the head of the store says ${head.sequence} and ${head.log.count}`,
      );
  }

  /** The keys, or the values, of a tree whose records have no checksum. */
  private *records(snapshot: Snapshot, name: TreeName, part: 'key' | 'value' = 'key'): Iterable<Buffer> {
    const reader = new RecordReader(this.file, snapshot, this.seen);
    for (const record of reader.read(name)) {
      this.progress();
      if (record.fault === undefined) yield record[part];
      else this.fault(`${name}: ${record.fault} (page ${record.page})`);
    }
    const { overflow, records } = reader;
    this.compareCounts(name, snapshot.trees[name], { ...reader.counts, overflow, entries: records });
  }

  private compareCounts(name: TreeName, tree: Tree, met: Omit<Tree, 'root'>): void {
    this.used += met.branches + met.leaves + met.overflow;
    const wrong = (['entries', 'branches', 'leaves', 'overflow'] as const).filter(
      (each) => tree[each] !== met[each],
    );
    const counts = wrong.map(
      (each) => `${met[each]} of ${tree[each]} ${each === 'overflow' ? 'pages of large values' : each}`,
    );
    if (wrong.length > 0) this.fault(`${name}: only ${counts.join(', ')} can be read`);
  }

  private comparePages(snapshot: Snapshot): void {
    const { report, seen } = this;
    if (seen.size < this.used) this.fault(`${this.used - seen.size} pages are used twice`);
    const main = seen.add(snapshot.page);
    if (!main) this.fault(`page ${snapshot.page} names the trees and is part of one`);
    const free = readFreePages(this.file, snapshot, seen);
    if (!free) return this.fault('the list of free pages is damaged');
    report.free = free.size;
    let both = 0;
    for (let page = 2; page < free.length; page++) if (free.has(page) && seen.has(page)) both++;
    if (both > 0) this.fault(`${both} pages are in use and in the list of free pages`);
  }

  private progress(): void {
    this.show(this.seen.size);
  }

  private fault(line: string): void {
    this.report.faults++;
    this.tell(line);
  }
}
