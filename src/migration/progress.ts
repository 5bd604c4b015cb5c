const BAR = 24;
const DRAW_EVERY_MS = 100;

/** A bar on a terminal; nothing where the output goes elsewhere. */
export class Progress {
  private drawnAt = 0;
  private readonly startedAt = performance.now();

  constructor(
    private readonly what: string,
    private readonly total: number,
    private readonly output: NodeJS.WriteStream = process.stderr,
  ) {}

  /** Shows that `done` of the total are done. */
  show(done: number): void {
    const now = performance.now();
    if (!this.output.isTTY || now - this.drawnAt < DRAW_EVERY_MS) return;
    this.drawnAt = now;
    const share = this.total === 0 ? 1 : Math.min(1, done / this.total);
    const bar = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░');
    const rate = Math.round(done / ((now - this.startedAt) / 1000));
    const counts = `${done.toLocaleString('en')} of ${this.total.toLocaleString('en')}, ${rate.toLocaleString('en')}/s`;
    this.output.write(`\r${this.what} ${bar} ${Math.floor(share * 100)} %  ${counts} \x1b[K`);
  }

  clear(): void {
    if (this.output.isTTY) this.output.write('\r\x1b[K');
  }
}
