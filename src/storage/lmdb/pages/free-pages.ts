import type { PageFile } from './page-file.js';
import { PageSet } from './page-set.js';
import type { Snapshot } from './snapshot.js';
import { TreeWalk } from './tree.js';

const NUMBER_BYTES = 8;

/**
 * The pages that no tree of a snapshot uses; undefined if the tree that lists them cannot be read to its end.
 *
 * Under the transaction that freed them (u64, little-endian) the tree has lists: how many numbers follow, then i64 each: a page, or 0 for
 * nothing, or -n for n pages that begin at the number after it (midl-sparse.c).
 * @param seen gets the pages of the tree itself
 */
export function readFreePages(
  file: PageFile,
  { free, transaction, lastPage }: Snapshot,
  seen = new PageSet(file.length),
): PageSet | undefined {
  if (!free) return undefined;
  const pages = new PageSet(lastPage + 1);
  for (const { page } of new TreeWalk(file, transaction, seen, byNumber).pages(free.root)) {
    if (!page) return undefined;
    for (const node of page.nodes) {
      const list = file.valueOf(node);
      if (node.run) seen.add(node.run.page, node.run.pages);
      if (!list || !addList(pages, list)) return undefined;
    }
  }
  return pages;
}

function addList(pages: PageSet, list: Buffer): boolean {
  const end = Number(list.readBigUInt64LE(0)) * NUMBER_BYTES;
  if (list.length % NUMBER_BYTES !== 0 || end >= list.length) return false;
  for (let at = NUMBER_BYTES; at <= end; at += NUMBER_BYTES) {
    const number = Number(list.readBigInt64LE(at));
    if (number === 0) continue;
    const page = number > 0 ? number : Number(list.readBigInt64LE((at += NUMBER_BYTES)));
    const count = number > 0 ? 1 : -number;
    if (at > end || page < 2 || page + count > pages.length || !pages.add(page, count)) return false;
  }
  return true;
}

/** The range of all keys begins with an empty one. */
function byNumber(a: Buffer, b: Buffer): number {
  if (a.length < NUMBER_BYTES || b.length < NUMBER_BYTES) return a.length - b.length;
  return Number(a.readBigUInt64LE(0) - b.readBigUInt64LE(0));
}
