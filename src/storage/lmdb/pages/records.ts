import type { PageFile } from './page-file.js';
import type { PageSet } from './page-set.js';
import type { TreeName } from '../store-format.js';
import type { Snapshot } from './snapshot.js';
import { TreeWalk, type TreePage, type WalkCounts } from './tree.js';

/** A key and its value, wherever that lies, or what keeps a page or a value from being read. */
type TreeRecord =
  | { readonly key: Buffer; readonly value: Buffer; readonly fault?: undefined }
  | { readonly page: number; readonly fault: string };

/** Reads a tree record by record. */
export class RecordReader {
  private readonly walk: TreeWalk;
  private last: Buffer | undefined;
  /** Pages of large values. */
  overflow = 0;
  records = 0;

  constructor(
    private readonly file: PageFile,
    private readonly snapshot: Snapshot,
    /** Gets the pages that the tree uses. */
    private readonly seen: PageSet,
  ) {
    this.walk = new TreeWalk(file, snapshot.transaction, seen);
  }

  get counts(): WalkCounts {
    return this.walk.counts;
  }

  *read(name: TreeName): Iterable<TreeRecord> {
    for (const found of this.pages(name)) yield* this.readPage(found);
  }

  /** The pages to be read one after the other. @param start leaves out those before the one where this key would be */
  pages(name: TreeName, start?: Buffer): Iterable<TreePage> {
    this.last = undefined;
    return this.walk.pages(this.snapshot.trees[name].root, start);
  }

  *readPage({ page, number, why }: TreePage): Iterable<TreeRecord> {
    if (!page) yield { page: number, fault: why };
    for (const node of page?.nodes ?? []) {
      if (node.run) this.addRun(node.run);
      this.records++;
      const value = this.file.valueOf(node);
      if (!value) yield { page: number, fault: 'a large value is damaged' };
      else if (this.last && Buffer.compare(node.key, this.last) <= 0)
        yield { page: number, fault: 'its keys are out of order' };
      else yield { key: node.key, value };
      this.last = node.key;
    }
  }

  private addRun({ page, pages }: { page: number; pages: number }): void {
    this.seen.add(page, pages);
    this.overflow += pages;
  }
}
