import { createHash } from 'node:crypto';
import type { ExportEnd, Pigeonhole } from '../client/pigeonhole.js';
import { CommandError } from './exit.js';
import { ProgressOutput } from './progress-output.js';

const NEW_LINE = 10;

/** Receives an export as it comes. */
export type Take = (chunk: Uint8Array) => Promise<void> | void;

export interface Export {
  readonly prefix?: string;
  readonly lenient?: boolean;
}

/**
 * Reads an export to its closing line, which it checks, and returns that. On a terminal a bar says how far it is.
 * @param title what the bar says is being done
 */
export async function readExport(
  db: Pigeonhole,
  { prefix, lenient }: Export,
  title: string,
  take: Take,
): Promise<ExportEnd> {
  const output = new ProgressOutput();
  const progress = process.stderr.isTTY && output.startProgress(title, await db.count({ prefix }));
  const lines = new Lines();
  const sink = new WritableStream<Uint8Array>({
    write: async (chunk) => {
      await take(chunk);
      lines.add(chunk);
      if (progress) progress(lines.count);
    },
  });
  const end = await db.exportTo(sink, { prefix, lenient }).finally(() => output.clear());
  if (lines.digest() !== end.sha256) throw new CommandError('The export does not fit its closing line.');
  return end;
}

/** Counts lines, and hashes all but the last. */
class Lines {
  count = 0;
  private readonly hash = createHash('sha256');
  private last: Uint8Array[] = [];

  add(chunk: Uint8Array): void {
    for (let start = 0; start < chunk.length;) {
      const end = chunk.indexOf(NEW_LINE, start) + 1 || chunk.length;
      if (this.last.at(-1)?.at(-1) === NEW_LINE) this.pass();
      this.last.push(chunk.subarray(start, end));
      start = end;
    }
  }

  digest(): string {
    return this.hash.digest('hex');
  }

  private pass(): void {
    for (const piece of this.last) this.hash.update(piece);
    this.last = [];
    this.count++;
  }
}
