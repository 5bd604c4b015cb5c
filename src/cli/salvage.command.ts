import type { Command } from 'commander';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { StartError } from '../errors.js';
import { ProgressOutput } from './progress-output.js';
import type { Salvage, SalvageReport } from '../storage/lmdb/salvage/salvage.js';
import { dataFile, dataFolder, inOneLine } from './data-file.js';
import { plural } from './output.js';

const CHUNK_BYTES = 64 * 1024;

/** `pigeonhole salvage <folder>` */
export function addSalvageCommand(program: Command): void {
  program
    .command('salvage')
    .description('Writes what is whole in a damaged data folder to stdout, as an export.')
    .argument('<folder>', 'the data folder; stop its server first')
    .addHelpText('after', HELP)
    .action((folder: string) => inOneLine(() => salvage(dataFolder(folder))));
}

const HELP = `
  pigeonhole salvage ./data > saved.ndjson
  curl -T saved.ndjson -X POST localhost:4000/kv      (to a server on a new folder)

It reads the data file page by page and changes nothing. A record is whole if its checksum fits;
the newest one of a key wins. The last line says how many were found. Keys that may be older than
what was last written, or deleted since, are named on stderr.`;

async function salvage(folder: string): Promise<void> {
  const { visit } = await import('../storage/lmdb/guest.js');
  const { PageFile } = await import('../storage/lmdb/pages/page-file.js');
  const { Salvage } = await import('../storage/lmdb/salvage/salvage.js');
  process.stdout.on('error', endWithoutOutput);
  const guest = await visit(folder);
  const file = PageFile.open(dataFile(folder));
  const output = new ProgressOutput();
  const showProgress = output.startProgress('Reading', file.length);
  try {
    const work = new Salvage(file, {
      show: showProgress,
      uncertain: ({ key, modified }) => {
        output.clear();
        console.error(
          `may be older or deleted: ${JSON.stringify(key)}, written ${new Date(modified).toISOString()}`,
        );
      },
    });
    const count = await writeExport(work);
    output.clear();
    if (count === 0 && work.report.expected !== 0)
      throw new StartError(`${folder} has no entry that is whole. Restore a backup.`);
    console.error(summaryOf(count, work.report));
  } finally {
    file.close();
    guest.leave();
  }
}

/** Writes the entries and the closing line to stdout; returns how many there are. */
async function writeExport(work: Salvage): Promise<number> {
  const { exportLine } = await import('../kv/transfer/exporter.js');
  const hash = createHash('sha256');
  let count = 0;
  let chunk = '';
  for (const entry of work.entries()) {
    chunk += exportLine(entry);
    count++;
    if (chunk.length < CHUNK_BYTES) continue;
    hash.update(chunk);
    await write(chunk);
    chunk = '';
  }
  hash.update(chunk);
  await write(chunk);
  const { report } = work;
  const salvaged = { ...report, missing: missingOf(report), ...(report.uncertain > 0 && { note: NOTE }) };
  await write(`${JSON.stringify({ end: true, count, sha256: hash.digest('hex'), salvage: salvaged })}\n`);
  return count;
}

const NOTE =
  'The uncertain entries may be older than what was last written, or may have been deleted since: the change log does not ' +
  'reach back to them.';

/** Ends where nobody takes the output. A disk that is full gets its line; a closed pipe, as of `head`, needs none. */
function endWithoutOutput(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') console.error(`pigeonhole: the output cannot be written: ${error.message}.`);
  process.exit(1);
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

function missingOf({ expected, whole, recovered, uncertain }: SalvageReport): number | undefined {
  return expected === undefined ? undefined : Math.max(0, expected - whole - recovered - uncertain);
}

function summaryOf(count: number, report: SalvageReport): string {
  const { recovered, uncertain, expired, expected, damagedPages } = report;
  const missing = missingOf(report);
  const parts = [
    `Saved ${plural(count, 'entry', 'entries')}`,
    expected !== undefined && ` of ${expected.toLocaleString('en')}`,
    expired > 0 && ` (${expired.toLocaleString('en')} more have expired)`,
    damagedPages > 0 && `; ${plural(damagedPages, 'page is', 'pages are')} damaged`,
    recovered > 0 && `; ${recovered.toLocaleString('en')} came from outside the readable tree`,
    uncertain > 0 && `; ${uncertain.toLocaleString('en')} may be older, or deleted since`,
    missing !== undefined && missing > 0 && `; ${missing.toLocaleString('en')} are lost`,
  ];
  return `${parts.filter(Boolean).join('')}.`;
}
