import { crc32 } from 'node:zlib';
import type { Revision } from '../../revision.js';
import type { Head } from '../store.js';
import type { StoredEntry } from '../record.js';
import { entryOf } from '../pages/entries.js';
import { readFreePages } from '../pages/free-pages.js';
import { readSegments } from '../pages/log.js';
import type { Node } from '../pages/page.js';
import type { PageFile } from '../pages/page-file.js';
import { PageSet } from '../pages/page-set.js';
import type { Snapshot } from '../pages/snapshot.js';
import { after, find } from '../pages/tree.js';
import { changesIn, readTrailer } from '../change-log.js';
import type { Gaps } from './gaps.js';
import { oldPages, type KnownPages, type OldPage } from './old-pages.js';
import { Superseded, type OldLeaf } from './superseded.js';
import { isAfter, Versions } from './versions.js';

/** Keys whose histories are kept at once, some 300 bytes each. */
const KEYS_AT_ONCE = 300_000;

/** An entry that was found outside the readable tree. */
export interface FoundEntry {
  readonly entry: StoredEntry;
  /** Whether it is as it was last written. Otherwise it may be older, or have been deleted since. */
  readonly isCertain: boolean;
}

/**
 * Finds the entries of keys that the tree does not give.
 *
 * A record's checksum covers its key, so a whole record is recognised wherever it lies: in leaves that a damaged branch no
 * longer leads to, in leaves of earlier commits whose pages nothing has overwritten yet, and in the segments of the change
 * log. Of each key the newest change wins, be it a deletion. What proves that a record is the newest: it lies in a page that is
 * neither free nor read (the list of free pages is exact), or the log reaches back to it. What proves a deletion: the log;
 * a later leaf around the key that leaves it out; or that the tree's own count is complete without it.
 *
 * The file is read once to count what there is, then once for each 300,000 keys; memory does not grow with the file, but by some
 * 200 bytes for each leaf among the gaps.
 */
export class LostEntries {
  private readonly known: KnownPages;
  private readonly leaves: OldLeaf[] = [];
  private candidates = 0;
  private current = 0;

  constructor(
    private readonly file: PageFile,
    private readonly gaps: Gaps,
    known: Omit<KnownPages, 'free'>,
    private readonly show: (page: number) => void,
  ) {
    this.known = { ...known, free: known.snapshot && readFreePages(file, known.snapshot) };
  }

  /** @param whole how many entries the tree gives */
  *find(whole: number, head: Head | undefined): Iterable<FoundEntry> {
    this.count();
    const { snapshot } = this.known;
    const isComplete = snapshot?.isLatest === true && whole + this.current === snapshot.trees.entries.entries;
    const logged = snapshot && head ? loggedSince(this.file, snapshot, head) : Infinity;
    const shares = Math.max(1, Math.ceil(this.candidates / KEYS_AT_ONCE));
    for (let share = 0; share < shares; share++) {
      const accepts = (key: Buffer): boolean => crc32(key) % shares === share && this.gaps.has(key);
      const versions = new Versions(this.file, accepts);
      for (const page of oldPages(this.file, this.known, this.show)) versions.collect(page);
      yield* this.choose(versions, isComplete, logged);
    }
  }

  private count(): void {
    for (const page of oldPages(this.file, this.known, this.show)) {
      const nodes = [...page.nodes];
      if (page.isWhole && nodes.some((node) => entryOf(this.file, node))) this.addLeaf(page, nodes);
      const lost = nodes.filter(({ key }) => this.gaps.has(key));
      this.candidates += lost.length;
      const found = page.isCurrent ? lost.filter((node) => entryOf(this.file, node)) : [];
      this.current += new Set(found.map(({ key }) => key.toString())).size;
    }
    this.leaves.sort((a, b) => Buffer.compare(a.first, b.first));
  }

  private addLeaf({ transaction }: OldPage, nodes: readonly Node[]): void {
    const first = nodes[0]!.key;
    const last = nodes.at(-1)!.key;
    if (!this.gaps.touch({ from: first, to: after(last) })) return;
    this.leaves.push({ first: Buffer.from(first), last: Buffer.from(last), transaction });
  }

  private *choose(versions: Versions, isComplete: boolean, logged: number): Iterable<FoundEntry> {
    const superseded = new Superseded(this.leaves);
    const sorted = [...versions.keys].map(([key, history]) => ({ key, history, bytes: Buffer.from(key) }));
    sorted.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    for (const { key, bytes, history } of sorted) {
      const { version, newest, isDeleted, transaction } = history;
      const isGone = superseded.lastAround(bytes) > transaction;
      if (!version || isDeleted || (!version.isCurrent && (isGone || isComplete))) continue;
      if (this.isInTree(bytes, version)) continue;
      const entry = versions.read(key, version);
      const isNewest = !isAfter(newest, version);
      if (entry) yield { entry, isCertain: isNewest && (version.isCurrent || version.sequence >= logged) };
    }
  }

  /** Whether the readable part of the tree has the key after all, as where two pages hold it. */
  private isInTree(key: Buffer, version: Revision): boolean {
    const { snapshot, read, damaged } = this.known;
    if (!snapshot?.isLatest) return false;
    const isSound = (page: number): boolean => read.has(page) && !damaged.has(page);
    const node = find(this.file, snapshot.trees.entries.root, key, isSound);
    const entry = node && entryOf(this.file, node);
    return entry !== undefined && !isAfter(version, entry);
  }
}

/** The sequence after which the log has every change; Infinity if there is none. */
function loggedSince(file: PageFile, snapshot: Snapshot, head: Head): number {
  let since = Infinity;
  let last = -1;
  for (const segment of readSegments(file, snapshot, new PageSet(file.length))) {
    const [first] = segment ? changesIn(segment) : [];
    if (!first) since = Infinity;
    else if (since === Infinity) since = first.sequence - 1;
    last = first ? readTrailer(segment!).last.sequence : -1;
  }
  return last === head.sequence ? since : Infinity;
}
