import type { Command } from 'commander';
import { ProgressOutput } from './progress-output.js';
import { dataFolder, inOneLine } from './data-file.js';
import { plural } from './output.js';

const INTERRUPTED = 130;

/** `pigeonhole compact <folder>` */
export function addCompactCommand(program: Command): void {
  program
    .command('compact')
    .description('Makes the file of a data folder as small as it can be.')
    .argument('<folder>', 'the data folder of a server that is stopped')
    .addHelpText('after', HELP)
    .action((folder: string) => inOneLine(() => run(dataFolder(folder))));
}

const HELP = `
The data is written anew beside the old file, which stays until the new one is on the disk and has
been verified. The disk needs room for both.`;

async function run(folder: string): Promise<void> {
  const { compact } = await import('../storage/lmdb/compact.js');
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  const output = new ProgressOutput();
  let progress: ((done: number) => void) | undefined;
  const show = (pages: number, of: number): void => (progress ??= output.startProgress('Writing', of))(pages);
  try {
    const { before, after, entries } = await compact(folder, show, interrupt.signal);
    output.clear();
    const what = `${folder}: ${plural(entries, 'entry', 'entries')}`;
    if (after === before) console.log(`${what}, ${mebibytes(before)}, which is as small as it can be.`);
    else console.log(`${what}, from ${mebibytes(before)} to ${mebibytes(after)}.`);
  } catch (error) {
    output.clear();
    if (!interrupt.signal.aborted) throw error;
    console.error('Interrupted. Nothing was changed.');
    process.exitCode = INTERRUPTED;
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: bytes < 2 ** 20 ? 2 : 1 })} MiB`;
}
