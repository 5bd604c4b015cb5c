import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { RawRecord } from '../fill-store.js';
import { TREES } from '../store-format.js';
import {
  BackupFault,
  CLOSING_BYTES,
  closingLine,
  HEADER_BYTES,
  parseHeader,
  PREFIX_BYTES,
  type BackupHeader,
} from './backup-file.js';
import { RecordCheck } from './record-check.js';

const PIECE_BYTES = 2 ** 20;

/** The file of a backup, open to be read. */
export class BackupReader {
  private readonly digest = createHash('sha256');
  private piece: Buffer = Buffer.alloc(0);
  private at = 0;
  private position = HEADER_BYTES;

  private constructor(
    private readonly descriptor: number,
    private readonly first: Buffer,
    readonly header: BackupHeader,
  ) {}

  /** Opens the file and reads its first line. @throws BackupFault */
  static open(path: string): BackupReader {
    const descriptor = openSync(path, 'r');
    try {
      return BackupReader.on(descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** The same on a file that is open and stays so. @throws BackupFault */
  static on(descriptor: number): BackupReader {
    if (!fstatSync(descriptor).isFile()) throw new BackupFault('is not a file');
    const first = Buffer.alloc(HEADER_BYTES);
    const read = readSync(descriptor, first, 0, HEADER_BYTES, 0);
    const header = parseHeader(first.subarray(0, read));
    const { size } = fstatSync(descriptor);
    if (size < header.bytes) throw new BackupFault(`is cut short: it has ${size} of ${header.bytes} bytes`);
    if (size > header.bytes || size < HEADER_BYTES + CLOSING_BYTES)
      throw new BackupFault(`has ${size} bytes, of which its first line says ${header.bytes}`);
    return new BackupReader(descriptor, first, header);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  /**
   * Reads everything: the digest, each record with its checksum, the counts of the trees against each other.
   *
   * @param show is told how many bytes have been read
   * @throws BackupFault with the first fault
   */
  async verify(show: (bytes: number) => void = () => undefined, signal?: AbortSignal): Promise<void> {
    const check = new RecordCheck(this.header);
    for await (const record of this.records(show, signal)) check.add(record);
    check.finish();
  }

  /** The records. Only when the last has been passed is it known that the file is whole. @throws BackupFault */
  async *records(show: (bytes: number) => void, signal?: AbortSignal): AsyncIterable<RawRecord> {
    for (;;) {
      const bytes = this.position - (this.piece.length - this.at);
      if (bytes === this.end) break;
      const record = this.next();
      yield record;
      if (this.piece.length - this.at >= PREFIX_BYTES || this.position === this.end) continue;
      signal?.throwIfAborted();
      show(this.position);
      await setImmediate();
    }
    this.checkDigest();
    show(this.header.bytes);
  }

  private get end(): number {
    return this.header.bytes - CLOSING_BYTES;
  }

  /** The next record, as a view of memory that is not used again. */
  private next(): RawRecord {
    const prefix = this.take(PREFIX_BYTES);
    const tree = TREES[prefix[0]!];
    const [keyLength, valueLength] = [prefix.readUInt16LE(1), prefix.readUInt32LE(3)];
    if (tree === undefined) throw notRecords();
    const bytes = this.take(keyLength + valueLength);
    return { tree, key: bytes.subarray(0, keyLength), value: bytes.subarray(keyLength) };
  }

  private take(length: number): Buffer {
    if (this.at + length > this.piece.length) this.read(length);
    const bytes = this.piece.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  /** Reads on, so that at least `length` bytes are there. */
  private read(length: number): void {
    const rest = this.piece.subarray(this.at);
    const left = this.end - this.position;
    if (rest.length + left < length) throw notRecords();
    const fresh = Math.min(left, Math.max(PIECE_BYTES, length) - rest.length);
    this.piece = Buffer.allocUnsafeSlow(rest.length + fresh);
    rest.copy(this.piece);
    this.readAt(this.piece.subarray(rest.length), this.position);
    this.digest.update(this.piece.subarray(rest.length));
    this.position += fresh;
    this.at = 0;
  }

  private checkDigest(): void {
    const closing = Buffer.alloc(CLOSING_BYTES);
    this.readAt(closing, this.end);
    if (!closing.equals(closingLine(this.digest.update(this.first).digest('hex'))))
      throw new BackupFault('is damaged: its contents do not have the digest of its last line');
  }

  private readAt(target: Buffer, position: number): void {
    for (let done = 0; done < target.length;) {
      const read = readSync(this.descriptor, target, done, target.length - done, position + done);
      if (read === 0) throw new BackupFault('became shorter while it was read');
      done += read;
    }
  }
}

function notRecords(): BackupFault {
  return new BackupFault('is damaged: what it holds are not records');
}
