const BAR_WIDTH = 24;
const DRAW_EVERY_MS = 100;

/** Prints lines on stdout and, on a terminal, a progress bar on stderr, which the next line replaces. */
export class ProgressOutput {
  readonly line = (text: string): void => {
    this.clear();
    console.log(text);
  };

  readonly startProgress = (title: string, total: number): ((done: number) => void) => {
    const start = performance.now();
    let drawnAt = 0;
    return (done) => {
      const now = performance.now();
      if (!process.stderr.isTTY || now - drawnAt < DRAW_EVERY_MS) return;
      drawnAt = now;
      process.stderr.write(`\r${title} ${bar(done, total, now - start)} \x1b[K`);
    };
  };

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

function bar(done: number, total: number, elapsedMs: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const blocks = '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '░');
  const [count, all, rate] = [done, total, Math.round((done / elapsedMs) * 1000)].map((number) =>
    number.toLocaleString('en'),
  );
  return `${blocks} ${Math.floor(share * 100)} %  ${count} of ${all}, ${rate}/s`;
}
