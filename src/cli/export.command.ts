import type { Command } from 'commander';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, renameSync } from 'node:fs';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { CommandError } from './exit.js';
import { plural, print } from './output.js';
import { ProgressOutput } from './progress-output.js';

const NEW_LINE = 10;

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

type Take = (chunk: Uint8Array) => Promise<void>;

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

async function write(db: Pigeonhole, { prefix, lenient }: Flags, take: Take): Promise<void> {
  const output = new ProgressOutput();
  const progress = process.stderr.isTTY && output.startProgress('Exporting', await db.count({ prefix }));
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
  const damaged = end.damaged?.length ?? 0;
  if (damaged > 0)
    console.error(`pigeonhole: ${plural(damaged, 'damaged entry is', 'damaged entries are')} left out.`);
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
