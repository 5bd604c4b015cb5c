import { isUtf8 } from 'node:buffer';
import { MAX_STORED_KEY_BYTES } from '../../entry.js';
import { decodeIfSound, type StoredEntry } from '../record.js';
import type { Node, Run } from './page.js';
import type { PageFile } from './page-file.js';
import type { PageSet } from './page-set.js';
import type { Snapshot } from './snapshot.js';
import { after, contains, TreeWalk, type KeyRange, type TreePage, type WalkCounts } from './tree.js';

const BAD_RECORD = 'its record fails its checksum';

/** Keys whose entries the tree does not give, and the page to blame. */
export class Gap implements KeyRange {
  constructor(
    readonly from: Buffer,
    readonly to: Buffer | undefined,
    readonly page: number,
    readonly why: string,
    /** The one key, if it is one. */
    readonly key?: string,
  ) {}

  /** Whether the record of one key is damaged, so that a read of it fails. */
  get isRecord(): boolean {
    return this.why === BAD_RECORD;
  }

  /** What is lost, and why. */
  describe(): string {
    return `${this.where()}: ${this.why} (page ${this.page})`;
  }

  private where(): string {
    const { key, from, to } = this;
    if (key !== undefined) return `key ${JSON.stringify(key)}`;
    const start = from.length === 0 ? 'the first key' : JSON.stringify(from.toString());
    return `${start} to ${to ? `before ${JSON.stringify(to.toString())}` : 'the last key'}`;
  }
}

/** The entry of a leaf's node; undefined if it is none that is whole. */
export function entryOf(file: PageFile, node: Node): StoredEntry | undefined {
  const value = isKey(node.key) ? file.valueOf(node) : undefined;
  return value && decodeIfSound(node.key.toString(), value);
}

/** The tree of entries in key order: each entry that is whole, and a gap for what is not. */
export class EntriesReader {
  private readonly walk: TreeWalk;

  constructor(
    private readonly file: PageFile,
    private readonly snapshot: Snapshot,
    /** Gets the pages that the tree uses. */
    private readonly seen: PageSet,
  ) {
    this.walk = new TreeWalk(file, snapshot.transaction, seen);
  }

  /** Pages of large values. */
  overflow = 0;

  get counts(): WalkCounts {
    return this.walk.counts;
  }

  *read(): Iterable<StoredEntry | Gap> {
    for (const found of this.pages()) yield* this.readPage(found);
  }

  /** The pages to be read one after the other. @param start leaves out those before the one where this key would be */
  pages(start?: Buffer): Iterable<TreePage> {
    return this.walk.pages(this.snapshot.trees.entries.root, start);
  }

  *readPage(found: TreePage): Iterable<StoredEntry | Gap> {
    if (found.page) yield* this.readLeaf(found);
    else yield new Gap(found.from, found.to, found.number, found.why);
  }

  private *readLeaf({ page, from, to, number }: TreePage): Iterable<StoredEntry | Gap> {
    /** Where keys begin of which nothing is known. */
    let unknown: Buffer | undefined;
    const gap = (start: Buffer, end: Buffer | undefined, why: string, key?: string): Gap =>
      new Gap(start, end, number, why, key);
    for (const node of page!.nodes) {
      if (node.run) this.addRun(node.run);
      const entry = entryOf(this.file, node);
      const isInOrder = contains({ from, to }, node.key);
      if (entry && isInOrder) {
        if (unknown) yield gap(unknown, node.key, 'a key is damaged');
        unknown = undefined;
        from = after(node.key);
        yield entry;
      } else if (isKey(node.key) && (entry || isInOrder)) {
        const why = entry ? 'no search leads to it' : BAD_RECORD;
        yield gap(node.key, after(node.key), why, node.key.toString());
      } else {
        unknown ??= from;
      }
    }
    if (unknown) yield gap(unknown, to, 'a key is damaged');
  }

  private addRun({ page, pages }: Run): void {
    this.seen.add(page, pages);
    this.overflow += pages;
  }
}

function isKey(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.length <= MAX_STORED_KEY_BYTES && isUtf8(bytes);
}
