import type { MemoryBudget } from '../../http/request/memory-budget.js';
import { allocateValue, LARGE_VALUE_BYTES, ROOM_BYTES, roomyPart } from '../../storage/value-memory.js';
import { inByteOrder } from './byte-order.js';
import type { Put } from './import-line.js';

const MAX_PUTS = 65_536;
const MAX_BYTES = 8 * 2 ** 20;
const MAX_AGE_MS = 1_000;
/** UTF-8 never takes more bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/** A put and the number of the line that asked for it. */
export interface NumberedPut {
  readonly put: Put;
  readonly line: number;
}

/**
 * Gathers puts and returns them in the order of their keys.
 *
 * Problem: keys come in any order, and a commit writes every page of the tree on which one of its keys lies: a thousand
 * random keys of a large database lie on a thousand pages. Design: up to 65,536 puts are gathered and sorted by key, so
 * that neighbours share pages; puts of one key keep their order. They lie in one piece of memory and a few flat lists:
 * as many objects would take five times the memory and survive two garbage collections. Measured: importing a million
 * random entries of 100 bytes takes half the time.
 */
export class SortedPuts {
  /** Key and value of each put, one after the other; a large value has the room around it that its engine may use. */
  private readonly memory = Buffer.allocUnsafeSlow(MAX_BYTES);
  private readonly starts = new Uint32Array(MAX_PUTS + 1);
  private readonly ends = new Uint32Array(MAX_PUTS);
  private readonly lines = new Uint32Array(MAX_PUTS);
  private readonly types: string[] = [];
  private readonly expiries: Put['expiry'][] = [];
  private count = 0;
  /** Puts that came when the memory was full. */
  private overflow: NumberedPut[] = [];
  private bytes = 0;
  private claimed = 0;
  /** When the first put was added, on the clock of `performance`. */
  private since = 0;

  constructor(private readonly budget: MemoryBudget) {}

  add(put: Put, line: number): void {
    const { key, value, type, expiry } = put;
    const index = this.count;
    const start = this.starts[index]!;
    const room = value.length > LARGE_VALUE_BYTES ? ROOM_BYTES : 0;
    const most = MAX_BYTES_PER_UNIT * key.length + room + value.length + room;
    if (this.bytes === 0) this.since = performance.now();
    this.bytes += most;
    if (this.overflow.length > 0 || index === MAX_PUTS || start + most > MAX_BYTES) {
      // What it lies in is used again.
      const copy = allocateValue(value.length);
      value.copy(copy);
      this.overflow.push({ put: { ...put, value: copy }, line });
      return;
    }
    const end = start + this.memory.write(key, start);
    this.ends[index] = end;
    this.starts[index + 1] = end + room + value.copy(this.memory, end + room) + room;
    this.lines[index] = line;
    // Equal types share one string: each line has brought its own.
    const last = index > 0 ? this.types[index - 1]! : type;
    this.types[index] = type === last ? last : type;
    this.expiries[index] = expiry;
    this.count++;
  }

  /** Whether to write now: the memory is full, or the oldest put has waited long enough. */
  isFull(): boolean {
    if (this.bytes === 0) return false;
    if (this.overflow.length > 0 || performance.now() - this.since >= MAX_AGE_MS) return true;
    if (!this.budget.tryClaim(this.bytes - this.claimed)) return true;
    this.claimed = this.bytes;
    return false;
  }

  /** Returns all puts, up to `size` at a time. Their memory is used again once the last have been taken. */
  async *take(size: number): AsyncGenerator<readonly NumberedPut[]> {
    try {
      const { memory, starts, ends, count } = this;
      const order = await inByteOrder({ memory, starts, ends }, count);
      for (let start = 0; start < order.length; start += size) {
        yield Array.from(order.subarray(start, start + size), (index) => this.at(index));
      }
      if (this.overflow.length > 0) yield this.overflow;
    } finally {
      this.clear();
    }
  }

  private clear(): void {
    this.count = 0;
    this.overflow = [];
    this.bytes = 0;
    this.budget.release(this.claimed);
    this.claimed = 0;
  }

  private at(index: number): NumberedPut {
    const { memory, types, expiries } = this;
    const end = this.ends[index]!;
    const key = memory.toString('utf8', this.starts[index], end);
    const next = this.starts[index + 1]!;
    const isLarge = next - end > LARGE_VALUE_BYTES;
    const value = isLarge
      ? roomyPart(memory, end + ROOM_BYTES, next - end - 2 * ROOM_BYTES)
      : memory.subarray(end, next);
    const put: Put = { op: 'put', key, value, type: types[index]!, expiry: expiries[index]! };
    return { put, line: this.lines[index]! };
  }
}
