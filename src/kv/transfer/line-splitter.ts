import type { MemoryBudget } from '../../http/request/memory-budget.js';
import { joined, type Turns } from '../../http/request/turns.js';

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines with their line ends. The bytes of an unfinished line count in the budget. */
export class LineSplitter {
  private parts: Buffer[] = [];
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
      const line = parts.length === 0 ? rest : yield* joined([...parts, rest], this.held + rest.length);
      yield* this.take(tooLong || line.length > this.maxBytes ? null : line, complete);
    } finally {
      this.close();
    }
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
