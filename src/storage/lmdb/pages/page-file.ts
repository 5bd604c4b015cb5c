import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HEADER_BYTES, runAt, type Node } from './page.js';

const PAGE_BYTES = 4096;
const PAGE_SIZES = [PAGE_BYTES, 8192, 16_384, 32_768, 65_536];
const SCAN_BYTES = 2 ** 20;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META = 8;
const FIRST_PAGE = 2;
/** The transaction of all pages of a copy that LMDB has made. */
export const COPIED = 1;

/** What a meta page says: where the trees of one commit begin. */
export interface Meta {
  readonly transaction: number;
  readonly mainRoot: number;
  readonly freeRoot: number;
  readonly lastPage: number;
}

/** A data file, read by pages and never written. */
export class PageFile {
  readonly pageSize: number;
  /** How many pages the file has. */
  readonly length: number;
  /** The two meta pages, of which the last two commits wrote one each; undefined where one is not sound. */
  readonly metas: readonly (Meta | undefined)[];
  /** Pages that the disk refused to read. */
  unreadable = 0;
  private last: { readonly number: number; readonly bytes: Buffer | undefined } | undefined;

  private constructor(private readonly fd: number) {
    const start = Buffer.alloc(2 * PAGE_SIZES.at(-1)!);
    readSync(fd, start, 0, start.length, 0);
    this.pageSize = PAGE_SIZES.find((size) => start.readUInt32LE(size + 24) === MAGIC) ?? PAGE_BYTES;
    this.metas = [0, 1].map((number) => this.parseMeta(start.subarray(number * this.pageSize), number));
    // Asked after the metas: a server that is writing makes the file longer before a meta says so.
    this.length = Math.floor(fstatSync(fd).size / this.pageSize);
  }

  static open(path: string): PageFile {
    const fd = openSync(path, 'r');
    try {
      return new PageFile(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Page `number`; undefined if the file ends before it or the disk cannot read it. */
  read(number: number): Buffer | undefined {
    if (number >= this.length) return undefined;
    // Keys in order are in the same page.
    if (this.last?.number !== number) this.last = { number, bytes: this.readBytes(number, this.pageSize) };
    return this.last.bytes;
  }

  /** The value of a leaf's node, wherever it is; undefined if its run is not there, or is another's by now. */
  valueOf(node: Node): Buffer | undefined {
    const { run, size } = node;
    if (!run) return node.data;
    if (!this.hasRun(node)) return undefined;
    return this.readBytes(run.page, HEADER_BYTES + size)?.subarray(HEADER_BYTES);
  }

  /** The first bytes of the same. */
  beginningOf(node: Node): Buffer | undefined {
    return node.run && this.hasRun(node)
      ? this.read(node.run.page)?.subarray(HEADER_BYTES, HEADER_BYTES + node.size)
      : node.data;
  }

  /** Whether the run of a node is in the file, as the node describes it. */
  private hasRun({ run, size }: Node): boolean {
    const { page, transaction, pages } = run!;
    if (page < FIRST_PAGE || pages < 1 || page + pages > this.length) return false;
    if (pages !== Math.ceil((HEADER_BYTES + size) / this.pageSize)) return false;
    const bytes = this.read(page);
    const found = bytes && runAt(bytes, page);
    // A copy, as of a backup, gives its nodes transaction 1 and leaves the runs as they were.
    return found?.pages === pages && (transaction === COPIED || found.transaction === transaction);
  }

  /** Every page after the metas, in the order of the file. The bytes are valid until the next. */
  *scan(): Iterable<{ number: number; bytes: Buffer }> {
    const chunk = Buffer.alloc(SCAN_BYTES);
    const atOnce = SCAN_BYTES / this.pageSize;
    for (let first = FIRST_PAGE; first < this.length; first += atOnce) {
      const pages = Math.min(atOnce, this.length - first);
      const isWhole = this.tryRead(chunk.subarray(0, pages * this.pageSize), first);
      for (let i = 0; i < pages; i++) {
        const number = first + i;
        const bytes = isWhole
          ? chunk.subarray(i * this.pageSize, (i + 1) * this.pageSize)
          : this.read(number);
        if (bytes) yield { number, bytes };
        else this.unreadable++;
      }
    }
  }

  private readBytes(page: number, length: number): Buffer | undefined {
    const bytes = Buffer.allocUnsafeSlow(length);
    return this.tryRead(bytes, page) ? bytes : undefined;
  }

  private tryRead(target: Buffer, page: number): boolean {
    try {
      return readSync(this.fd, target, 0, target.length, page * this.pageSize) === target.length;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
      throw error;
    }
  }

  private parseMeta(page: Buffer, number: number): Meta | undefined {
    const isMeta =
      page.readUInt32LE(0) === number &&
      page.readUInt16LE(18) === META &&
      page.readUInt32LE(24) === MAGIC &&
      page.readUInt32LE(28) === DATA_VERSION &&
      page.readUInt32LE(48) === this.pageSize;
    if (!isMeta) return undefined;
    return {
      transaction: u64(page, 152),
      mainRoot: u64(page, 136),
      freeRoot: u64(page, 88),
      lastPage: u64(page, 144),
    };
  }
}

function u64(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}
