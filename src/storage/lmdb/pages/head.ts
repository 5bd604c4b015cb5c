import { decodeHead, FORMAT, HEAD, HEAD_BYTES, type Head } from '../store-format.js';
import type { PageFile } from './page-file.js';
import type { Snapshot } from './snapshot.js';
import { find } from './tree.js';

/** The head of the store in a snapshot; undefined if it cannot be read. */
export function readHead(file: PageFile, { trees }: Snapshot): Head | undefined {
  const bytes = find(file, trees.meta.root, Buffer.from(HEAD))?.data;
  return bytes?.length === HEAD_BYTES ? decodeHead(bytes) : undefined;
}

/** The storage format of a snapshot; undefined if it cannot be read. */
export function readFormat(file: PageFile, { trees }: Snapshot): number | undefined {
  const bytes = find(file, trees.meta.root, Buffer.from(FORMAT))?.data;
  return bytes?.length === 4 ? bytes.readUInt32LE(0) : undefined;
}
