import type { MemoryBudget } from '../../http/request/memory-budget.js';

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines, whose new lines they keep. What it holds of an unfinished line is accounted for. */
export class LineSplitter {
  private parts: Buffer[] = [];
  private held = 0;
  private tooLong = false;

  /** @param take gets each line, or null in place of one longer than `maxBytes`; `complete` is false without new line */
  constructor(
    private readonly maxBytes: number,
    private readonly budget: MemoryBudget,
    private readonly take: (line: Buffer | null, complete: boolean) => void,
  ) {}

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.hand(chunk.subarray(start, end + 1), true);
      start = end + 1;
    }
    if (start < chunk.length) this.hold(chunk.subarray(start));
  }

  /** The last line may have no new line. */
  end(): void {
    if (this.held > 0 || this.tooLong) this.hand(Buffer.alloc(0), false);
  }

  /** Gives back what it holds. */
  close(): void {
    this.budget.release(this.held);
    this.held = 0;
    this.parts = [];
  }

  private hand(rest: Buffer, complete: boolean): void {
    const line = this.parts.length === 0 ? rest : Buffer.concat([...this.parts, rest]);
    const { tooLong } = this;
    this.close();
    this.tooLong = false;
    this.take(tooLong || line.length > this.maxBytes ? null : line, complete);
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
