import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { PigeonholeError, type ImportReport } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { EXIT } from './exit.js';
import { printOne } from './output.js';
import { ProgressOutput } from './progress-output.js';

interface Flags extends ServerOptions {
  readonly mode: 'upsert' | 'create';
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `pigeonhole import [FILE]` */
export function addImportCommand(program: Command): void {
  const command = program
    .command('import')
    .description('Stores the lines of an export. What came before a failure stays.')
    .argument('[file]', 'where from (default: the standard input)')
    .addOption(
      program
        .createOption('--mode <mode>', 'create leaves what exists as it is')
        .choices(['upsert', 'create'])
        .default('upsert'),
    )
    .option('--dry-run', 'only counts')
    .option(...JSON_OPTION);
  addServerOptions(command).action((file: string | undefined, flags: Flags) =>
    withServer(flags, async (db) => {
      const output = new ProgressOutput();
      const lines = Readable.toWeb(Readable.from(await source(file, output))) as ReadableStream;
      const { mode, dryRun, json } = flags;
      try {
        await tell(await db.importFrom(lines, { mode, dryRun }), json);
      } catch (error) {
        if (error instanceof PigeonholeError && error.code === 'truncated')
          tellErrors(error.problem as never);
        throw error;
      } finally {
        output.clear();
      }
    }),
  );
}

async function source(file: string | undefined, output: ProgressOutput): Promise<AsyncIterable<Buffer>> {
  if (file === undefined) return process.stdin;
  const progress = output.startProgress('Importing', (await stat(file)).size);
  return (async function* () {
    let done = 0;
    for await (const chunk of createReadStream(file)) {
      yield chunk as Buffer;
      progress((done += (chunk as Buffer).length));
    }
  })();
}

async function tell({ errors, ...counts }: ImportReport, json?: boolean): Promise<void> {
  await printOne({ ...counts, ...(json && { errors }) }, json);
  tellErrors({ errors });
  if (counts.errorCount > 0) process.exitCode = EXIT.failed;
}

function tellErrors({ errors = [] }: Partial<Pick<ImportReport, 'errors'>>): void {
  for (const { line, detail } of errors) console.error(`pigeonhole: line ${line}: ${detail}`);
}
