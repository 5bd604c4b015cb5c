import { parsePage, possibleNodes, runAt, transactionOf, type Node } from '../pages/page.js';
import type { PageFile } from '../pages/page-file.js';
import type { PageSet } from '../pages/page-set.js';
import type { Snapshot } from '../pages/snapshot.js';

/** A leaf, or what is left of one, that no walk has read. */
export interface OldPage {
  readonly number: number;
  readonly transaction: number;
  readonly nodes: readonly Node[];
  /** Whether it is known to be part of the store as it is. */
  readonly isCurrent: boolean;
  /** Whether its header is to be believed. */
  readonly isWhole: boolean;
}

/** What is known of the pages of a file when its gaps are searched. */
export interface KnownPages {
  readonly snapshot: Snapshot | undefined;
  /** Pages that were read as part of the tree of entries. */
  readonly read: PageSet;
  /** Pages of it with something wrong. */
  readonly damaged: ReadonlySet<number>;
  readonly free: PageSet | undefined;
}

/** Reads the whole file for leaves that lie outside the readable part of the tree of entries. */
export function* oldPages(
  file: PageFile,
  known: KnownPages,
  show: (page: number) => void,
): Iterable<OldPage> {
  const { snapshot, read, damaged, free } = known;
  let run = { page: 0, transaction: 0, pages: 0 };
  for (const { number, bytes } of file.scan()) {
    show(number);
    const isDamaged = damaged.has(number);
    if (read.has(number) && !isDamaged) continue;
    const transaction = transactionOf(bytes);
    // Values may hold what looks like pages. Only a page that was written after the value counts.
    if (number < run.page + run.pages && transaction <= run.transaction) continue;
    const found = isDamaged ? undefined : runAt(bytes, number);
    if (found) run = found;
    if (found || (snapshot?.isLatest && transaction > snapshot.transaction && !isDamaged)) continue;
    const isUsed = free !== undefined && number <= snapshot!.lastPage && !free.has(number);
    const isCurrent = snapshot?.isLatest === true && (isUsed || isDamaged);
    const page = isDamaged ? undefined : parsePage(bytes, number);
    if (page?.isLeaf) {
      yield { number, transaction, nodes: page.nodes, isCurrent, isWhole: true };
    } else if (isDamaged || (isCurrent && !page)) {
      const nodes = [...possibleNodes(bytes)];
      yield { number, transaction: snapshot!.transaction, nodes, isCurrent, isWhole: false };
    }
  }
}
