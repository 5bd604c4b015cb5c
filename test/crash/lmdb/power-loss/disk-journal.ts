import { readFileSync } from 'node:fs';
import type { Random } from '../../../support/random.js';

const HEADER = 20;
const SECTOR = 512;
const BLOCK = 4096;

enum Kind {
  write = 1,
  syncBegins,
  syncEnded,
  truncate,
  durableWrite,
}

interface DiskRecord {
  readonly kind: Kind;
  readonly process: number;
  /** Offset in the file, or its new length. */
  readonly at: number;
  readonly bytes: Buffer;
  /** Size of the journal once this record was in it. */
  readonly end: number;
}

/**
 * What was done to a data file (recording-disk.c), and what a loss of power may leave of it.
 *
 * What was written before a sync began is on the disk when that has ended. Of everything else any part may be, in sectors of
 * 512 bytes and in any order. Moments are taken in rising order, because the state at one is the beginning of the next.
 */
export class DiskJournal {
  private readonly records: readonly DiskRecord[];
  /** What is certainly on the disk. */
  private durable: Buffer;
  private length: number;
  /** Writes that may or may not be. */
  private pending: DiskRecord[] = [];
  /** Process → how many of the pending writes its sync covers. */
  private readonly syncs = new Map<number, DiskRecord[]>();
  private next = 0;

  /** @param before the file before the first record */
  constructor(path: string, before: Buffer) {
    this.records = [...recordsIn(readFileSync(path))];
    const longest = Math.max(before.length, ...this.records.map(({ at, bytes }) => at + bytes.length));
    this.durable = Buffer.alloc(longest);
    before.copy(this.durable);
    this.length = before.length;
  }

  /** Returns `count` moments, sizes of the journal, in rising order. */
  moments(count: number, random: Random): number[] {
    const chosen = Array.from({ length: count }, () => random.below(this.records.length));
    return chosen.sort((a, b) => a - b).map((index) => this.records[index]!.end);
  }

  /** Returns a data file as the loss of power at `moment` may leave it. */
  imageAt(moment: number, random: Random): Buffer {
    while (this.next < this.records.length && this.records[this.next]!.end <= moment)
      this.apply(this.records[this.next++]!);
    const image = Buffer.from(this.durable);
    const share = random.pick([0, 0.1, 0.5, 0.9, 1]);
    let length = this.length;
    for (const write of someOf(this.pending, random)) {
      if (write.kind === Kind.truncate) {
        if (random.chance(share)) length = write.at;
        continue;
      }
      for (let from = 0; from < write.bytes.length; from += BLOCK) {
        if (!random.chance(share)) continue;
        const block = write.bytes.subarray(from, from + BLOCK);
        tear(image, write.at + from, block, random.chance(0.2), random);
        length = Math.max(length, write.at + from + block.length);
      }
    }
    return image.subarray(0, length);
  }

  private apply(record: DiskRecord): void {
    switch (record.kind) {
      case Kind.syncBegins:
        this.syncs.set(record.process, [...this.pending]);
        return;
      case Kind.syncEnded:
        this.settle(this.syncs.get(record.process) ?? []);
        this.syncs.delete(record.process);
        return;
      case Kind.durableWrite:
        this.pending.push(record);
        this.syncs.set(record.process, [record]);
        return;
      default:
        this.pending.push(record);
    }
  }

  private settle(covered: readonly DiskRecord[]): void {
    for (const write of covered) {
      if (!this.pending.includes(write)) continue;
      if (write.kind === Kind.truncate) this.length = write.at;
      else this.length = Math.max(this.length, write.at + write.bytes.length);
      write.bytes.copy(this.durable, write.at);
    }
    const settled = new Set(covered);
    this.pending = this.pending.filter((write) => !settled.has(write));
  }
}

function* recordsIn(journal: Buffer): Iterable<DiskRecord> {
  for (let at = 0; at + HEADER <= journal.length;) {
    const start = at + HEADER;
    const end = start + journal.readUInt32LE(at + 16);
    yield {
      kind: journal.readUInt32LE(at),
      process: journal.readUInt32LE(at + 4),
      at: Number(journal.readBigUInt64LE(at + 8)),
      bytes: journal.subarray(start, end),
      end,
    };
    at = end;
  }
}

/** Copies a block, or only some of its sectors. */
function tear(image: Buffer, at: number, block: Buffer, isTorn: boolean, random: Random): void {
  for (let from = 0; from < block.length;) {
    // Sectors are counted from the beginning of the file.
    const size = Math.min(SECTOR - ((at + from) % SECTOR), block.length - from);
    if (!isTorn || random.chance(0.5)) block.copy(image, at + from, from, from + size);
    from += size;
  }
}

/** Returns all writes or some, in their order: a disk does not go back to older bytes of the same place. */
function someOf(writes: readonly DiskRecord[], random: Random): readonly DiskRecord[] {
  return random.chance(0.5) ? writes : writes.filter(() => random.chance(0.7));
}
