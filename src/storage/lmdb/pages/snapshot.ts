import { TREES, type TreeName } from '../store-format.js';
import { parsePage, type Page } from './page.js';
import { COPIED, type Meta, type PageFile } from './page-file.js';

/** No page: the root of an empty tree. */
const NO_PAGE = 2 ** 64;
const TREE_BYTES = 48;
/** Where a tree is, and what it says of its size. */
export interface Tree {
  /** undefined if the tree is empty. */
  readonly root: number | undefined;
  readonly entries: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflow: number;
}

/** One commit of a data file. */
export interface Snapshot {
  readonly transaction: number;
  /** The page that says where the trees are. */
  readonly page: number;
  readonly lastPage: number;
  readonly trees: Readonly<Record<TreeName, Tree>>;
  /** The tree of free pages; undefined if nobody knows where it is. */
  readonly free: Pick<Tree, 'root'> | undefined;
  /** Whether no later commit can have been made. */
  readonly isLatest: boolean;
}

/** A snapshot, if one can be found, and what is wrong with the places that tell. */
interface FoundSnapshot {
  readonly snapshot: Snapshot | undefined;
  readonly faults: readonly string[];
}

/**
 * Finds the last commit of a data file.
 *
 * The two meta pages belong to the last two commits and have no checksum. But every commit writes the page that names the
 * trees anew, so a meta page is believed only if it points to such a page of its own transaction. If the newer one is not
 * sound, that page is searched in the whole file. One of the last commit or of the one before it has all its pages; those
 * of older ones are overwritten, and say nothing.
 */
export function findSnapshot(file: PageFile): FoundSnapshot {
  const { sound, faults } = readMetas(file);
  if (sound.length === 2) return { snapshot: snapshotOf(file, sound[0]!, true), faults };
  return { snapshot: searchSnapshot(file, sound[0]), faults };
}

/** The last commit of a data file of which both meta pages are sound; does not search for it. */
export function soundSnapshot(file: PageFile): FoundSnapshot {
  const { sound, faults } = readMetas(file);
  return { snapshot: sound.length === 2 ? snapshotOf(file, sound[0]!, true) : undefined, faults };
}

/** The meta pages that can be believed, the newest first, and what is wrong with the others. */
function readMetas(file: PageFile): { readonly sound: Meta[]; readonly faults: string[] } {
  const faults: string[] = [];
  const metas = file.metas.map((meta, number) => {
    const why = meta ? faultOf(file, meta, number) : 'its header is damaged';
    if (why !== undefined) faults.push(`meta page ${number}: ${why}`);
    return why === undefined ? meta : undefined;
  });
  const sound = metas.filter((meta) => meta !== undefined);
  return { sound: sound.sort((a, b) => b.transaction - a.transaction), faults };
}

/** Why a meta page cannot be believed. */
function faultOf(file: PageFile, meta: Meta, number: number): string | undefined {
  const { transaction, mainRoot, lastPage } = meta;
  if (transaction % 2 !== number && transaction !== 0) return 'its transaction is not its own';
  if (mainRoot === NO_PAGE) return transaction <= COPIED ? undefined : 'it names no tree';
  const page = mainPage(file, mainRoot);
  if (!page) return 'it does not lead to the trees';
  const isFreshCopy = page.transaction === COPIED && mainRoot === lastPage;
  return page.transaction === transaction || isFreshCopy ? undefined : 'it leads to trees of another commit';
}

/** The page that names the trees, if page `number` is one. */
function mainPage(file: PageFile, number: number): Page | undefined {
  const bytes = file.read(number);
  const page = bytes && parsePage(bytes, number);
  return page && treesIn(page) ? page : undefined;
}

function searchSnapshot(file: PageFile, meta: Meta | undefined): Snapshot | undefined {
  let found: Page | undefined;
  const latest = new LatestTransaction(file.metas);
  for (const { number, bytes } of file.scan()) {
    const page = parsePage(bytes, number);
    if (!page) continue;
    latest.add(page.transaction);
    if (page.transaction > (found?.transaction ?? 0) && treesIn(page)) found = mainPage(file, number);
  }
  if (meta && meta.transaction >= (found?.transaction ?? 0)) {
    return snapshotOf(file, meta, meta.transaction >= latest.found);
  }
  if (!found || found.transaction < latest.found - 1) return undefined;
  return {
    transaction: found.transaction,
    page: found.number,
    lastPage: file.length - 1,
    trees: treesIn(found)!,
    free: undefined,
    isLatest: found.transaction >= latest.found,
  };
}

/**
 * The last transaction of a file: what the meta pages say if they follow each other, for the pages of the last commits may be
 * lost; else what the pages say. Every commit writes several, so a number that one page has alone is damaged.
 */
class LatestTransaction {
  found = 0;
  private readonly once = new Set<number>();

  constructor([first, second]: PageFile['metas']) {
    if (!first || !second || Math.abs(first.transaction - second.transaction) !== 1) return;
    this.found = Math.max(first.transaction, second.transaction);
  }

  add(transaction: number): void {
    if (transaction <= this.found) return;
    if (this.once.has(transaction)) this.found = transaction;
    else this.once.add(transaction);
  }
}

function snapshotOf(file: PageFile, meta: Meta, isLatest: boolean): Snapshot | undefined {
  const { transaction, mainRoot, freeRoot, lastPage } = meta;
  const page = mainRoot === NO_PAGE ? undefined : mainPage(file, mainRoot);
  if (!page) return undefined;
  const free = { root: rootOf(freeRoot) };
  return { transaction, page: mainRoot, lastPage, trees: treesIn(page)!, free, isLatest };
}

/** The trees that a page names, without those that only later versions know; undefined unless it names all of ours. */
function treesIn(page: Page): Record<TreeName, Tree> | undefined {
  if (!page.isLeaf || page.nodes.length < TREES.length) return undefined;
  const trees: Partial<Record<TreeName, Tree>> = {};
  for (const node of page.nodes) {
    const name = TREES.find((each) => node.key.toString('latin1') === `${each}\0`);
    if (!node.isTree || node.data.length !== TREE_BYTES) return undefined;
    if (!name) continue;
    const number = (offset: number): number => Number(node.data.readBigUInt64LE(offset));
    trees[name] = {
      root: rootOf(number(40)),
      entries: number(32),
      branches: number(8),
      leaves: number(16),
      overflow: number(24),
    };
  }
  return TREES.every((name) => trees[name]) ? (trees as Record<TreeName, Tree>) : undefined;
}

function rootOf(page: number): number | undefined {
  return page === NO_PAGE ? undefined : page;
}
