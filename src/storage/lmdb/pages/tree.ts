import { childOf, parsePage, type Node, type Page } from './page.js';
import type { PageFile } from './page-file.js';
import type { PageSet } from './page-set.js';

const DEEPEST = 32;
const FIRST_PAGE = 2;
export const FIRST_KEY = Buffer.alloc(0);

/** Keys from one to below another, in the order of their bytes; `to` undefined has no end. */
export interface KeyRange {
  readonly from: Buffer;
  readonly to: Buffer | undefined;
}

/** A page of a tree: a leaf to be read, or a page that cannot be followed and leaves a gap. */
export interface TreePage extends KeyRange {
  readonly number: number;
  readonly page: Page | undefined;
  /** Why there is none. */
  readonly why: string;
}

type Compare = (a: Buffer, b: Buffer) => number;

const byBytes: Compare = (a, b) => Buffer.compare(a, b);

/** What a walk has met. */
export interface WalkCounts {
  branches: number;
  leaves: number;
}

/**
 * Walks the leaves of a tree in key order, reading each page once.
 *
 * Whatever cannot be right ends the walk there, not elsewhere: a page that is not where it should be, is of a later commit,
 * is met twice, or has only keys that do not belong there, leaves a gap in the keys and is named with it.
 * @param seen gets the pages that are met, so that two trees cannot share one
 */
export class TreeWalk {
  readonly counts: WalkCounts = { branches: 0, leaves: 0 };

  constructor(
    private readonly file: PageFile,
    private readonly transaction: number,
    private readonly seen: PageSet,
    private readonly compare: Compare = byBytes,
  ) {}

  /** @param start leaves out the pages before the one where this key would be */
  *pages(root: number | undefined, start: Buffer = FIRST_KEY): Iterable<TreePage> {
    if (root !== undefined) yield* this.descend(root, { from: FIRST_KEY, to: undefined }, start, 0);
  }

  private *descend(number: number, range: KeyRange, start: Buffer, depth: number): Iterable<TreePage> {
    const bytes = number >= FIRST_PAGE ? this.file.read(number) : undefined;
    const page = bytes && parsePage(bytes, number);
    const why = !bytes
      ? 'it is beyond the end of the file, or the disk cannot read it'
      : !page
        ? 'its header is damaged'
        : this.faultOf(page, range, depth);
    if (why !== undefined) {
      yield { ...range, number, page: undefined, why };
      return;
    }
    this.seen.add(number);
    if (page!.isLeaf) {
      this.counts.leaves++;
      yield { ...range, number, page, why: '' };
      return;
    }
    this.counts.branches++;
    const { nodes } = page!;
    for (let i = 0; i < nodes.length; i++) {
      const from = i === 0 ? range.from : nodes[i]!.key;
      const to = nodes[i + 1]?.key ?? range.to;
      if (to && this.compare(to, start) <= 0) continue;
      yield* this.descend(childOf(bytes!, nodes[i]!), { from, to }, start, depth + 1);
    }
  }

  private faultOf(page: Page, range: KeyRange, depth: number): string | undefined {
    if (page.transaction > this.transaction) return 'a later commit has overwritten it';
    if (this.seen.has(page.number)) return 'another page leads to it, too';
    if (page.nodes.length === 0 || depth > DEEPEST) return 'it cannot be part of a tree';
    if (page.isLeaf) {
      const belongs = page.nodes.some((node) => contains(range, node.key, this.compare));
      return belongs ? undefined : 'it has the keys of another page';
    }
    let last = range.from;
    // The first key of a branch is not used.
    for (const node of page.nodes.slice(1)) {
      if (this.compare(node.key, last) < 0 || !contains(range, node.key, this.compare))
        return 'its keys are out of order';
      last = node.key;
    }
    return undefined;
  }
}

export function contains({ from, to }: KeyRange, key: Buffer, compare: Compare = byBytes): boolean {
  return compare(key, from) >= 0 && (to === undefined || compare(key, to) < 0);
}

/** The first key after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

/**
 * The node of `key` in the tree at `root`, as a read of the server finds it; undefined if it would find none.
 * @param accepts which pages may be used
 */
export function find(
  file: PageFile,
  root: number | undefined,
  key: Buffer,
  accepts: (page: number) => boolean = () => true,
): Node | undefined {
  for (let number = root, depth = 0; number !== undefined && depth < DEEPEST; depth++) {
    const bytes = accepts(number) ? file.read(number) : undefined;
    const page = bytes && parsePage(bytes, number);
    if (!page) return undefined;
    if (page.isLeaf) return page.nodes.find((node) => node.key.equals(key));
    const at = page.nodes.findLastIndex((node, i) => i === 0 || Buffer.compare(node.key, key) <= 0);
    const node = page.nodes[at];
    number = node && childOf(bytes!, node);
  }
  return undefined;
}
