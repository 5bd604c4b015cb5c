import type { MemoryBudget } from '../../http/request/memory-budget.js';
import { joined, type Turns } from '../../http/request/turns.js';

const NEWLINE = 0x0a;

/** Lines up to here that come in parts are put together in the same memory, one after the other. */
const KEPT_BYTES = 2 ** 20;

/**
 * Cuts a stream of bytes into lines with their line ends. The bytes of an unfinished line count in the budget. A line is
 * there until `take` has ended.
 */
export class LineSplitter {
  private parts: Buffer[] = [];
  private memory = Buffer.alloc(0);
  private held = 0;
  private tooLong = false;

  /** @param take gets each line, or null for one longer than `maxBytes`; `complete` is false for one without a line end */
  constructor(
    private readonly maxBytes: number,
    private readonly budget: MemoryBudget,
    private readonly take: (line: Buffer | null, complete: boolean) => Turns<void>,
  ) {}

  *push(chunk: Buffer): Turns<void> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield* this.hand(chunk.subarray(start, end + 1), true);
      start = end + 1;
      yield;
    }
    if (start < chunk.length) this.hold(chunk.subarray(start));
  }

  /** Takes the last line, which may have no line end. */
  *end(): Turns<void> {
    if (this.held > 0 || this.tooLong) yield* this.hand(Buffer.alloc(0), false);
  }

  /** Releases what it holds. */
  close(): void {
    this.budget.release(this.held);
    this.held = 0;
    this.parts = [];
  }

  private *hand(rest: Buffer, complete: boolean): Turns<void> {
    const { tooLong, parts } = this;
    this.parts = [];
    this.tooLong = false;
    try {
      const bytes = this.held + rest.length;
      const line = parts.length === 0 ? rest : yield* joined([...parts, rest], bytes, this.memoryFor(bytes));
      yield* this.take(tooLong || line.length > this.maxBytes ? null : line, complete);
    } finally {
      this.close();
    }
  }

  /** Returns memory for a line, or undefined for one of which no memory is kept. */
  private memoryFor(bytes: number): Buffer | undefined {
    if (bytes > KEPT_BYTES) return undefined;
    if (bytes > this.memory.length) this.memory = Buffer.allocUnsafeSlow(Math.min(2 * bytes, KEPT_BYTES));
    return this.memory.subarray(0, bytes);
  }

  private hold(part: Buffer): void {
    if (this.tooLong) return;
    if (this.held + part.length > this.maxBytes) {
      this.close();
      this.tooLong = true;
      return;
    }
    this.budget.claim(part.length);
    this.held += part.length;
    this.parts.push(part);
  }
}
