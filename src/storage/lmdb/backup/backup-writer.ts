import { createHash } from 'node:crypto';
import { fdatasync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { DatabaseError } from '../../../errors.js';
import { VERSION } from '../../../version.js';
import { formatTag } from '../../revision.js';
import type { RawRecord } from '../fill-store.js';
import { readFormat, readHead } from '../pages/head.js';
import { PageFile } from '../pages/page-file.js';
import { PageSet } from '../pages/page-set.js';
import { RecordReader } from '../pages/records.js';
import { findSnapshot, type Snapshot } from '../pages/snapshot.js';
import { TREES } from '../store-format.js';
import {
  CLOSING_BYTES,
  closingLine,
  encodeHeader,
  HEADER_BYTES,
  PREFIX_BYTES,
  writePrefix,
} from './backup-file.js';

const PIECE_BYTES = 2 ** 20;
const synced = promisify(fdatasync);
/** The newer meta page may be half written at the moment it is read. */
const TRIES = 10;

/**
 * Writes a backup of the last commit in the data file `path` to the open, empty file `target`. It reads the file's pages
 * itself: whoever calls it keeps them from being overwritten.
 *
 * @param wrote is called after each piece with the bytes that have been written; it may throw
 * @throws DatabaseError `corrupt`
 */
export async function writeBackup(
  path: string,
  target: number,
  wrote: (bytes: number) => void,
): Promise<void> {
  const { file, snapshot } = openLastCommit(path);
  try {
    const writer = new PieceWriter(target, wrote);
    for (const record of recordsOf(file, snapshot)) {
      writer.add(record);
      // Whoever asked for the backup may have gone.
      if (writer.isFull) await writer.flush();
    }
    writer.finish(partsOf(file, snapshot));
  } finally {
    file.close();
  }
}

function openLastCommit(path: string): { file: PageFile; snapshot: Snapshot } {
  for (let tries = TRIES; ; tries--) {
    const file = PageFile.open(path);
    const { snapshot, faults } = findSnapshot(file);
    if (snapshot && faults.length === 0) return { file, snapshot };
    file.close();
    if (tries === 0) throw damaged(faults[0] ?? 'the page that names the trees is lost');
  }
}

/** Everything in the header that a snapshot knows. */
function partsOf(file: PageFile, snapshot: Snapshot) {
  const head = readHead(file, snapshot);
  return {
    version: VERSION,
    storeFormat: readFormat(file, snapshot) ?? 0,
    made: new Date().toISOString(),
    // Nothing has been written to a store without a head.
    position: formatTag(head?.epoch ?? 0, head?.sequence ?? 0),
    entries: snapshot.trees.entries.entries,
  };
}

function* recordsOf(file: PageFile, snapshot: Snapshot): Iterable<RawRecord> {
  const seen = new PageSet(file.length);
  for (const tree of TREES) {
    for (const record of new RecordReader(file, snapshot, seen).read(tree)) {
      if (record.fault !== undefined) throw damaged(`${tree}, page ${record.page}: ${record.fault}`);
      yield { tree, key: record.key, value: record.value };
    }
  }
}

export function damaged(why: string): DatabaseError {
  const detail = `The database is damaged (${why}), so no backup was made. \`pigeonhole check\` names what is.`;
  return new DatabaseError('corrupt', detail);
}

/** Gathers records to pieces of the file, and makes the digest. */
class PieceWriter {
  private readonly hash = createHash('sha256');
  private piece = Buffer.allocUnsafe(PIECE_BYTES);
  private length = 0;
  private written = HEADER_BYTES;

  constructor(
    private readonly target: number,
    private readonly wrote: (bytes: number) => void,
  ) {}

  get isFull(): boolean {
    return this.length >= PIECE_BYTES / 2;
  }

  add(record: RawRecord): void {
    const { key, value } = record;
    const end = this.length + PREFIX_BYTES + key.length + value.length;
    if (end > this.piece.length) this.grow(end);
    const at = writePrefix(record, this.piece, this.length);
    this.piece.set(key, at);
    this.piece.set(value, at + key.length);
    this.length = end;
  }

  /**
   * Puts what has been gathered on the disk, and waits for that: a commit of the database would have to wait for all that the
   * system has not written yet of both files (ext4, measured: 23 times as long for one of a hundred writers).
   */
  async flush(): Promise<void> {
    this.write();
    await synced(this.target);
  }

  finish(parts: Omit<Parameters<typeof encodeHeader>[0], 'bytes'>): void {
    this.write();
    const end = this.written;
    const header = encodeHeader({ ...parts, bytes: end + CLOSING_BYTES });
    writeFully(this.target, header, 0);
    writeFully(this.target, closingLine(this.hash.update(header).digest('hex')), end);
  }

  private write(): void {
    const piece = this.piece.subarray(0, this.length);
    this.hash.update(piece);
    writeFully(this.target, piece, this.written);
    this.written += piece.length;
    this.length = 0;
    this.wrote(this.written);
  }

  /** One record may be larger than a piece. */
  private grow(length: number): void {
    const grown = Buffer.allocUnsafe(length);
    this.piece.copy(grown, 0, 0, this.length);
    this.piece = grown;
  }
}

/** Node's write may take a part. */
function writeFully(target: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(target, bytes, done, bytes.length - done, position + done);
}
