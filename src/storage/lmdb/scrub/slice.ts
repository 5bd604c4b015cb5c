import { corrupt } from '../record.js';
import { expiryKey } from '../keys.js';
import { Segment } from '../log-segment.js';
import { EntriesReader, Gap } from '../pages/entries.js';
import { PageFile } from '../pages/page-file.js';
import { PageSet } from '../pages/page-set.js';
import { RecordReader } from '../pages/records.js';
import { soundSnapshot, type Snapshot } from '../pages/snapshot.js';
import { find, FIRST_KEY, type TreePage } from '../pages/tree.js';
import { TREES, type TreeName } from '../store-format.js';
import type { StoredEntry } from '../record.js';

/** Where a pass is: in which tree, and before which of its keys. */
export interface Place {
  readonly tree: TreeName;
  /** Base64; empty before the first. */
  readonly from: string;
}

/** What was read of the file in one go. */
export interface Slice {
  /** What is damaged, a sentence each. */
  readonly faults: readonly string[];
  /** Where the next one begins; undefined after the last. */
  readonly next: Place | undefined;
}

/** Where a pass begins. */
export const START: Place = { tree: TREES[0], from: '' };

/** A commit can change a meta page while it is read; one that is damaged stays so. */
const TRIES = 3;

/**
 * Reads some pages of a data file, of which somebody holds a snapshot: every entry, segment of the log and other record on them,
 * and whether what expires is in the index. What needs the whole of one snapshot, such as counts and free pages, is left
 * to `pigeonhole check`.
 *
 * @param isOver asked after every page that holds records
 */
export function readSlice(path: string, place: Place, isOver: () => boolean): Slice {
  let found: ReturnType<typeof soundSnapshot>;
  for (let tries = 1; ; tries++) {
    const file = PageFile.open(path);
    try {
      found = soundSnapshot(file);
      if (found.snapshot) return new SliceReader(file, found.snapshot).read(place, isOver);
    } finally {
      file.close();
    }
    // Nothing can be found in the file without a search through all of it.
    if (tries === TRIES) return { faults: found.faults, next: undefined };
  }
}

class SliceReader {
  private readonly faults: string[] = [];
  private readonly seen: PageSet;

  constructor(
    private readonly file: PageFile,
    private readonly snapshot: Snapshot,
  ) {
    this.seen = new PageSet(file.length);
  }

  read({ tree, from }: Place, isOver: () => boolean): Slice {
    const trees = TREES.slice(TREES.indexOf(tree));
    for (const [i, name] of trees.entries()) {
      const start = i === 0 ? Buffer.from(from, 'base64') : FIRST_KEY;
      for (const { to } of name === 'entries' ? this.readEntries(start) : this.readTree(name, start)) {
        if (to && isOver()) return { faults: this.faults, next: { tree: name, from: to.toString('base64') } };
      }
      const next = trees[i + 1];
      if (next && isOver()) return { faults: this.faults, next: { tree: next, from: '' } };
    }
    return { faults: this.faults, next: undefined };
  }

  private *readEntries(start: Buffer): Iterable<TreePage> {
    const reader = new EntriesReader(this.file, this.snapshot, this.seen);
    for (const page of reader.pages(start)) {
      for (const found of reader.readPage(page)) {
        if (found instanceof Gap) this.faults.push(textOf(found));
        else if (found.expires !== 0) this.findExpiry(found);
      }
      yield page;
    }
  }

  /** An index entry too many does no harm: it goes when its time comes. */
  private findExpiry({ key, expires }: StoredEntry): void {
    if (find(this.file, this.snapshot.trees.expiry.root, expiryKey(expires, key))) return;
    this.faults.push(
      `The key ${JSON.stringify(key)} is missing in the index of expiries: it will be hidden but not removed.`,
    );
  }

  private *readTree(name: TreeName, start: Buffer): Iterable<TreePage> {
    const reader = new RecordReader(this.file, this.snapshot, this.seen);
    for (const page of reader.pages(name, start)) {
      for (const record of reader.readPage(page)) {
        if (record.fault !== undefined)
          this.faults.push(`The data file is damaged: ${name}: ${record.fault} (page ${record.page}).`);
        else if (name === 'log' && !Segment.parse(record.value))
          this.faults.push('A segment of the change log fails its checksum.');
      }
      yield page;
    }
  }
}

/** The same sentence as a read of the key has where there is one, so that the log has it once. */
function textOf(gap: Gap): string {
  const { key, isRecord } = gap;
  return key !== undefined && isRecord
    ? corrupt(key).detail
    : `The data file is damaged: entries, ${gap.describe()}.`;
}
