import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** Size of the header of a page, and where its nodes are counted from. */
const HEADER = 24;
/** Where a meta page has its page size, the root of the names, and the number of its transaction. */
const PAGE_SIZE = 48;
const NAMES_ROOT = 136;
const TRANSACTION = 152;
const IS_BRANCH = 1;
/** The number of a page that no file has. */
const NOWHERE = Buffer.from([0xff, 0xff, 0xff, 0x0f]);

/** A page of a tree that is in use. */
export interface TreePage {
  /** Where it begins in the file. */
  readonly start: number;
  readonly isBranch: boolean;
  /** Where its nodes begin in the file. */
  readonly nodes: readonly number[];
  /** The keys in the leaves below it, or in itself. */
  readonly keys: readonly string[];
}

/** The pages of an LMDB data file as it is now, for tests that damage them (mdb.c of lmdb 3.5.6 on 64 bits). */
export class DataFile {
  readonly pageSize: number;
  private readonly bytes: Buffer;

  constructor(private readonly path: string) {
    this.bytes = readFileSync(path);
    this.pageSize = this.bytes.readUInt32LE(PAGE_SIZE);
  }

  /** The numbers of the last two commits, as the two meta pages have them. */
  get commits(): readonly [bigint, bigint] {
    return [this.bytes.readBigUInt64LE(TRANSACTION), this.bytes.readBigUInt64LE(this.pageSize + TRANSACTION)];
  }

  /** Returns all pages of a named database, the root first. */
  pagesOf(name: string): TreePage[] {
    const pages: TreePage[] = [];
    this.visit(this.rootOf(name), pages);
    return pages.toReversed();
  }

  /** Changes bytes in the file. A server that has it open sees that at once. */
  overwrite(at: number, bytes: Buffer): void {
    const file = openSync(this.path, 'r+');
    writeSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
  }

  /** Changes every bit of the byte at `at`. */
  flip(at: number): void {
    this.overwrite(at, Buffer.from([this.bytes[at]! ^ 0xff]));
  }

  /** Makes a node of a branch lead to a page that does not exist. */
  breakOff(node: number): void {
    this.overwrite(node, NOWHERE);
  }

  /** Makes a node of a branch lead where another one leads. */
  misdirect(node: number, other: number): void {
    this.overwrite(node, this.bytes.subarray(other, other + 4));
  }

  /** Makes a node of a leaf look for its large value where there is none. */
  loseValue(node: number): void {
    this.overwrite(node + 8 + this.bytes.readUInt16LE(node + 6), NOWHERE);
  }

  /** Returns where the page begins that a node of a branch leads to. */
  childOf(node: number): number {
    return this.bytes.readUInt32LE(node) * this.pageSize;
  }

  /** Returns the key of a node. */
  keyOf(node: number): string {
    return this.bytes.toString('utf8', node + 8, node + 8 + this.bytes.readUInt16LE(node + 6));
  }

  /** Returns where the root of a named database begins. */
  private rootOf(name: string): number {
    const [first, second] = this.commits;
    const newer = first >= second ? 0 : this.pageSize;
    const names = this.bytes.readUInt32LE(newer + NAMES_ROOT) * this.pageSize;
    const node = this.nodesOf(names).find((each) => this.keyOf(each).startsWith(name))!;
    return this.bytes.readUInt32LE(node + 8 + this.bytes.readUInt16LE(node + 6) + 40) * this.pageSize;
  }

  /** Adds a page after those below it, and returns its keys. */
  private visit(start: number, pages: TreePage[]): readonly string[] {
    const nodes = this.nodesOf(start);
    const isBranch = (this.bytes.readUInt16LE(start + 18) & IS_BRANCH) !== 0;
    const keys = isBranch
      ? nodes.flatMap((node) => this.visit(this.childOf(node), pages))
      : nodes.map((node) => this.keyOf(node));
    pages.push({ start, isBranch, nodes, keys });
    return keys;
  }

  private nodesOf(start: number): number[] {
    const count = this.bytes.readUInt16LE(start + 20) >> 1;
    return Array.from(
      { length: count },
      (_, i) => start + HEADER + this.bytes.readUInt16LE(start + HEADER + 2 * i),
    );
  }
}
