/*
 * Pages as LMDB 0.9.90 writes them (mdb.c of lmdb 3.5.6, 64-bit, little-endian), read without the library, which dies of
 * damaged ones. Nothing here trusts what it reads: a page that cannot be what it says is no page.
 *
 *    0  u64  number of the page, which is its position in the file
 *    8  u64  transaction that wrote it
 *   16  u16  0
 *   18  u16  kind: 1 branch, 2 leaf, 4 first page of an overflow run, 8 meta
 *   20  u16  length of the pointers, bytes; of a run: u32, how many pages it has
 *   22  u16  where the nodes begin, less 24
 *   24  u16… pointers to the nodes in key order, less 24
 *
 * A node: u32 size of the value (of a branch: u48, the child), u16 flags, u16 length of the key, the key, the value. A large
 * value is in a run instead: u64 its first page, u64 the transaction, u64 how many pages.
 */
export const HEADER_BYTES = 24;
const NODE_BYTES = 8;
const RUN_BYTES = 24;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const LARGE = 1;
const SUB_TREE = 2;
const MAX_KEY_BYTES = 2048;

/** Pages of a large value; the first has a page's header. */
export interface Run {
  readonly page: number;
  readonly transaction: number;
  readonly pages: number;
}

/** A key and what a page has under it. */
export interface Node {
  /** Where it begins and ends in its page. */
  readonly offset: number;
  readonly end: number;
  readonly key: Buffer;
  /** Size of the value, bytes. */
  readonly size: number;
  /** The value, unless it is in a run. */
  readonly data: Buffer;
  readonly run: Run | undefined;
  /** Whether the value describes a tree. */
  readonly isTree: boolean;
}

/** A branch or a leaf. */
export interface Page {
  readonly number: number;
  readonly transaction: number;
  readonly isLeaf: boolean;
  readonly nodes: readonly Node[];
}

/** The branch or leaf that `bytes` hold as page `number`; undefined if they cannot be one. */
export function parsePage(bytes: Buffer, number: number): Page | undefined {
  const flags = bytes.readUInt16LE(18);
  const pointers = bytes.readUInt16LE(20);
  const start = bytes.readUInt16LE(22);
  if ((flags !== BRANCH && flags !== LEAF) || readPageNumber(bytes, 0) !== number) return undefined;
  if (pointers % 2 !== 0 || pointers > start || start > bytes.length - HEADER_BYTES) return undefined;
  const isLeaf = flags === LEAF;
  const nodes: Node[] = [];
  let free = bytes.length - HEADER_BYTES - start;
  for (let at = HEADER_BYTES; at < HEADER_BYTES + pointers; at += 2) {
    const node = nodeAt(bytes, bytes.readUInt16LE(at) + HEADER_BYTES, isLeaf);
    if (!node || node.offset < start + HEADER_BYTES) return undefined;
    nodes.push(node);
    free -= node.end - node.offset + ((node.end - node.offset) % 2);
  }
  // Nodes fill the end of the page without holes, so that a pointer too few shows.
  return free === 0 ? { number, transaction: transactionOf(bytes), isLeaf, nodes } : undefined;
}

/** The node at `offset`; undefined if it would not fit into the page. */
export function nodeAt(bytes: Buffer, offset: number, isLeaf = true): Node | undefined {
  const keyStart = offset + NODE_BYTES;
  if (offset % 2 !== 0 || keyStart > bytes.length) return undefined;
  const size = bytes.readUInt32LE(offset);
  const flags = bytes.readUInt16LE(offset + 4);
  const start = keyStart + bytes.readUInt16LE(offset + 6);
  const isLarge = isLeaf && flags === LARGE;
  const end = start + (isLeaf ? (isLarge ? RUN_BYTES : size) : 0);
  if (end > bytes.length || start - keyStart > MAX_KEY_BYTES) return undefined;
  if (isLeaf && flags !== 0 && flags !== LARGE && flags !== SUB_TREE) return undefined;
  return {
    offset,
    end,
    key: bytes.subarray(keyStart, start),
    size,
    data: bytes.subarray(start, isLarge ? start : end),
    run: isLarge ? readRun(bytes, start) : undefined,
    isTree: isLeaf && flags === SUB_TREE,
  };
}

/** The page that a node of a branch points to. */
export function childOf(bytes: Buffer, { offset }: Node): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt16LE(offset + 4) * 2 ** 32;
}

/** Every place of a leaf whose header cannot be trusted where a node could be. Most are none: its value has to prove it. */
export function* possibleNodes(bytes: Buffer): Iterable<Node> {
  for (let offset = HEADER_BYTES; offset < bytes.length - NODE_BYTES; offset += 2) {
    if (bytes.readUInt16LE(offset + 6) === 0) continue;
    const node = nodeAt(bytes, offset);
    if (node && node.size > 0 && !node.isTree) yield node;
  }
}

/** The run whose first page `bytes` are; undefined if they are none. */
export function runAt(bytes: Buffer, number: number): Run | undefined {
  if (bytes.readUInt16LE(18) !== OVERFLOW || readPageNumber(bytes, 0) !== number) return undefined;
  return { page: number, transaction: transactionOf(bytes), pages: bytes.readUInt32LE(20) };
}

/** The transaction that wrote a page. */
export function transactionOf(bytes: Buffer): number {
  return readPageNumber(bytes, 8);
}

/** A u64, of which more than 53 bits are no page and no transaction, but must not be taken for one either. */
function readPageNumber(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 2 ** 32;
}

function readRun(bytes: Buffer, offset: number): Run {
  return {
    page: readPageNumber(bytes, offset),
    transaction: readPageNumber(bytes, offset + 8),
    pages: readPageNumber(bytes, offset + 16),
  };
}
