import type { Command } from 'commander';
import { once } from 'node:events';
import { createWriteStream, renameSync } from 'node:fs';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { plural, print } from './output.js';
import { readExport, type Take } from './read-export.js';

interface Flags extends ServerOptions {
  readonly prefix?: string;
  readonly lenient?: boolean;
}

/** `pigeonhole export [FILE]` */
export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description(
      'Writes out entries as they are at one moment, one a line, with a closing line that proves it whole.',
    )
    .argument('[file]', 'where to (default: the standard output); until it is whole it is named file.part')
    .option('--prefix <text>', 'only keys that begin with it (default: all)')
    .option('--lenient', 'leaves out what the disk has damaged, instead of breaking off');
  addServerOptions(command).action((file: string | undefined, flags: Flags) =>
    withServer(flags, (db) => (file === undefined ? write(db, flags, print) : writeFile(db, flags, file))),
  );
}

async function writeFile(db: Pigeonhole, flags: Flags, file: string): Promise<void> {
  const part = `${file}.part`;
  const stream = createWriteStream(part, { mode: 0o600, flush: true });
  await once(stream, 'open');
  const take: Take = (chunk) =>
    new Promise((resolve, reject) => {
      stream.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  stream.on('error', () => undefined);
  try {
    await write(db, flags, take);
    stream.end();
    await once(stream, 'close');
    renameSync(part, file);
  } catch (error) {
    console.error(`pigeonhole: What has come so far is in ${part}.`);
    throw error;
  }
}

async function write(db: Pigeonhole, flags: Flags, take: Take): Promise<void> {
  const damaged = (await readExport(db, flags, 'Exporting', take)).damaged?.length ?? 0;
  if (damaged > 0)
    console.error(`pigeonhole: ${plural(damaged, 'damaged entry is', 'damaged entries are')} left out.`);
}
