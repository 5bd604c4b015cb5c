import { crc32 } from 'node:zlib';
import { compareKeys } from '../../key-range.js';
import type { Revision } from '../../revision.js';
import type { Head } from '../store-format.js';
import type { StoredEntry } from '../record.js';
import { entryOf } from '../pages/entries.js';
import { readFreePages } from '../pages/free-pages.js';
import { readSegments } from '../pages/log.js';
import type { Node } from '../pages/page.js';
import type { PageFile } from '../pages/page-file.js';
import { PageSet } from '../pages/page-set.js';
import type { Snapshot } from '../pages/snapshot.js';
import { after, find } from '../pages/tree.js';
import type { Gaps } from './gaps.js';
import { oldPages, type KnownPages, type OldPage } from './old-pages.js';
import { Superseded, type OldLeaf } from './superseded.js';
import { isAfter, Versions } from './versions.js';

/** Keys whose histories are kept at once, some 300 bytes each. */
const KEYS_AT_ONCE = 200_000;

/** Stands for the transaction of a leaf of which no later one can exist. */
const CURRENT = Infinity;

/** An entry that was found outside the readable tree. */
interface FoundEntry {
  readonly entry: StoredEntry;
  /** Whether it is as it was last written. Otherwise it may be older, or have been deleted since. */
  readonly isCertain: boolean;
}

/**
 * Finds the entries of keys that the tree does not give.
 *
 * A record's checksum covers its key, so a whole record is recognised wherever it lies: in leaves that a damaged branch no
 * longer leads to, in leaves of earlier commits whose pages nothing has overwritten yet, and in the segments of the change
 * log. A leaf that is in the list of neither the free pages nor those that were read is current: what it has is given at once, and
 * nothing else is believed of the keys between its first and its last. Of any other key the newest change wins, be it a
 * deletion. It is certain if the log reaches back to it. What the log does not know to be deleted may still be so if a later leaf
 * around the key leaves it out, and is if the tree's own count is complete without it.
 *
 * The file is read once to count what there is, once for current leaves, and only if something is missing then, once for each
 * 200,000 keys. So memory does not grow with the file, but by some 200 bytes for each leaf in the gaps.
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
    yield* this.readCurrent();
    const { snapshot } = this.known;
    const isComplete = snapshot?.isLatest === true && whole + this.current === snapshot.trees.entries.entries;
    const logged = snapshot && head ? loggedSince(this.file, snapshot, head) : Infinity;
    const shares = isComplete ? 1 : Math.max(1, Math.ceil(this.candidates / KEYS_AT_ONCE));
    for (let share = 0; share < shares; share++) {
      const versions = new Versions(this.file, (key) => crc32(key) % shares === share && this.gaps.has(key));
      for (const page of this.pages()) {
        const isWanted = isComplete ? page.isCurrent && !page.isWhole : !isGiven(page);
        if (isWanted) versions.collectRecords(page);
        if (!isComplete) versions.collectLog(page);
      }
      yield* this.choose(versions, logged);
    }
  }

  private pages(): Iterable<OldPage> {
    return oldPages(this.file, this.known, this.show);
  }

  private count(): void {
    for (const page of this.pages()) {
      const { nodes } = page;
      if (page.isWhole && nodes.some((node) => entryOf(this.file, node))) this.addLeaf(page, nodes);
      const lost = nodes.filter(({ key }) => this.gaps.has(key));
      if (!isGiven(page)) this.candidates += lost.length;
      const found = page.isCurrent ? lost.filter((node) => entryOf(this.file, node)) : [];
      this.current += new Set(found.map(({ key }) => key.toString())).size;
    }
    this.leaves.sort((a, b) => Buffer.compare(a.first, b.first));
  }

  private addLeaf({ transaction, isCurrent }: OldPage, nodes: readonly Node[]): void {
    const first = nodes[0]!.key;
    const last = nodes.at(-1)!.key;
    if (!this.gaps.touch({ from: first, to: after(last) })) return;
    const lastWritten = isCurrent ? CURRENT : transaction;
    this.leaves.push({ first: Buffer.from(first), last: Buffer.from(last), transaction: lastWritten });
  }

  private *readCurrent(): Iterable<FoundEntry> {
    for (const page of this.pages()) {
      if (!isGiven(page)) continue;
      for (const node of page.nodes) {
        if (!this.gaps.has(node.key)) continue;
        const entry = entryOf(this.file, ownNode(node));
        if (entry && !this.isInTree(node.key, entry)) yield { entry, isCertain: true };
      }
    }
  }

  private *choose(versions: Versions, logged: number): Iterable<FoundEntry> {
    const superseded = new Superseded(this.leaves);
    const keys = [...versions.keys.keys()].sort(compareKeys);
    for (const key of keys) {
      const { version, newest, isDeleted, transaction } = versions.keys.get(key)!;
      const bytes = Buffer.from(key);
      const lastAround = superseded.lastAround(bytes);
      if (!version || isDeleted || lastAround === CURRENT) continue;
      if (!version.isCurrent && lastAround > transaction) continue;
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

/** Whether all that a page has is given without asking what else is known. */
function isGiven({ isCurrent, isWhole }: OldPage): boolean {
  return isCurrent && isWhole;
}

/** The node with memory of its own: that of a scan is valid until the next page only. */
function ownNode(node: Node): Node {
  return { ...node, key: Buffer.from(node.key), data: Buffer.from(node.data) };
}

/** The sequence after which the log has every change; Infinity if there is none. */
function loggedSince(file: PageFile, snapshot: Snapshot, head: Head): number {
  let since = Infinity;
  let last = -1;
  for (const segment of readSegments(file, snapshot, new PageSet(file.length))) {
    const [first] = segment?.changes() ?? [];
    if (!first) since = Infinity;
    else if (since === Infinity) since = first.sequence - 1;
    last = first ? segment!.last.sequence : -1;
  }
  return last === head.sequence ? since : Infinity;
}
