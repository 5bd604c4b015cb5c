import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryOf } from '../../src/storage/lmdb/pages/entries.js';
import { parsePage, type Node, type Page } from '../../src/storage/lmdb/pages/page.js';
import { PageFile } from '../../src/storage/lmdb/pages/page-file.js';
import { findSnapshot, type Snapshot } from '../../src/storage/lmdb/pages/snapshot.js';
import { temporaryFolder } from './temporary-folder.js';

export const PAGE = 4096;

/** An entry and the pages that hold it: its leaf, and those of a large value. */
export interface Placed {
  readonly key: string;
  readonly portrait: string;
  /** Where its node begins and ends in the file. */
  readonly nodeAt: number;
  readonly nodeEnd: number;
  /** Where its value begins in the file, and how long it is. */
  readonly valueAt: number;
  readonly size: number;
  readonly pages: readonly number[];
}

/** A sound data file, taken apart, so that a test knows what it damages. */
export class SoundFile {
  readonly bytes: Buffer;
  readonly snapshot: Snapshot;
  readonly leaves: number[] = [];
  /** The root first. */
  readonly branches: number[] = [];
  readonly entries = new Map<string, Placed>();

  constructor(path: string) {
    this.bytes = readFileSync(path);
    const file = PageFile.open(path);
    this.snapshot = findSnapshot(file).snapshot!;
    this.visit(file, this.snapshot.trees.entries.root!);
    file.close();
  }

  get pages(): number {
    return this.bytes.length / PAGE;
  }

  /** A copy to be damaged. */
  copy(): Buffer {
    return Buffer.from(this.bytes);
  }

  private visit(file: PageFile, number: number): void {
    const page = parsePage(file.read(number)!, number)!;
    (page.isLeaf ? this.leaves : this.branches).push(number);
    for (const node of page.nodes) {
      if (page.isLeaf) this.place(file, page, node);
      else this.visit(file, this.bytes.readUInt32LE(number * PAGE + node.offset));
    }
  }

  private place(file: PageFile, { number }: Page, node: Node): void {
    const entry = entryOf(file, node)!;
    const { run } = node;
    const inRun = run ? Array.from({ length: run.pages }, (_, i) => run.page + i) : [];
    const nodeAt = number * PAGE + node.offset;
    const keyEnd = nodeAt + 8 + node.key.length;
    const start = run ? run.page * PAGE + 24 : keyEnd;
    this.entries.set(entry.key, {
      key: entry.key,
      portrait: portraitOf(entry),
      nodeAt,
      nodeEnd: number * PAGE + node.end,
      valueAt: start + node.size - 4 - entry.size,
      size: entry.size,
      pages: [number, ...inRun],
    });
  }
}

/** All that is stored of an entry, as a text to be compared. */
export function portraitOf(entry: {
  key: string;
  etag: string;
  type: string;
  created: number;
  modified: number;
  expires: number;
  value: Buffer;
}): string {
  const { key, etag, type, created, modified, expires, value } = entry;
  const digest = createHash('md5').update(value).digest('hex');
  return JSON.stringify([key, etag, type, created, modified, expires, digest]);
}

/** A copy of a sound data folder, its data file changed. */
export function damagedCopy(
  sound: string,
  damage: (bytes: Buffer, file: SoundFile) => void = () => undefined,
): string {
  const folder = temporaryFolder();
  cpSync(sound, folder, { recursive: true });
  const path = join(folder, 'data.mdb');
  const file = new SoundFile(path);
  const bytes = file.copy();
  damage(bytes, file);
  writeFileSync(path, bytes);
  return folder;
}
