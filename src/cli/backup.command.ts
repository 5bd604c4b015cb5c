import type { Command } from 'commander';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { StartError } from '../errors.js';
import type { BackupHeader } from '../storage/lmdb/backup/backup-file.js';
import type { BackupReader } from '../storage/lmdb/backup/backup-reader.js';
import { resolveFolder } from '../storage/lmdb/folder-name.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { inOneLine } from './data-file.js';
import { EXIT } from './exit.js';
import { plural } from './output.js';
import { ProgressOutput } from './progress-output.js';

interface Flags extends ServerOptions {
  readonly json?: boolean;
  readonly to?: string;
  readonly force?: boolean;
  readonly ifEmpty?: boolean;
  readonly dryRun?: boolean;
}

/** `pigeonhole backup save|status|verify|restore` */
export function addBackupCommand(program: Command): void {
  const backup = program.command('backup').description('Makes, looks at and restores copies of a database.');
  const command = (name: string, description: string) =>
    backup
      .command(name)
      .description(description)
      .argument('<file>', 'the file of the backup')
      .option('--json', 'prints what was done as JSON');
  const add = (name: string, description: string, run: Run) =>
    command(name, description).action((file: string, flags: Flags) =>
      inOneLine(() => interruptible(run, file, flags)),
    );
  addServerOptions(command('save', 'Saves a backup of a running server.'))
    .addHelpText('after', SAVE_HELP)
    .action((file: string, flags: Flags) =>
      withServer(flags, (db) => interruptible((...args) => save(db, ...args), file, flags), { retries: 0 }),
    );
  add('status', 'Says what a backup is, by its first line.', status);
  add('verify', 'Reads a backup to its end: digest, checksums, indexes.', verify);
  add('restore', 'Makes a database of a backup.', restoreFile)
    .requiredOption('--to <folder>', 'the data folder of a server that is stopped, or a new one')
    .option('--force', 'takes the place of a database, whose data file is kept beside')
    .option('--if-empty', 'does nothing, and ends with 0, if there is a database')
    .option('--dry-run', 'verifies the backup and says what would be done')
    .addHelpText('after', RESTORE_HELP);
}

const SAVE_HELP = `
The file gets its name when it is whole. It ends with 2 if the server cannot be reached, and with 5 if the token may not.`;

const RESTORE_HELP = `
The whole backup is verified first. Whatever interrupts it, the folder has its old database or the
new one. No tag of what was written after the backup is ever used again.`;

/** What a command is given to report to, and to hear of an interruption. */
interface Work {
  readonly output: ProgressOutput;
  readonly signal: AbortSignal;
}

type Run = (file: string, flags: Flags, work: Work) => Promise<Result>;

/** Runs a command until it is done or interrupted, and prints its result. */
async function interruptible(run: Run, file: string, flags: Flags): Promise<void> {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  const output = new ProgressOutput();
  try {
    const result = await run(file, flags, { output, signal: interrupt.signal });
    output.line(flags.json ? JSON.stringify(result) : result.text);
  } catch (error) {
    output.clear();
    if (!interrupt.signal.aborted) throw error;
    console.error('Interrupted. Nothing was changed.');
    process.exitCode = EXIT.interrupted;
  }
}

/** Members for programs, and for people a text, which JSON leaves out. */
class Result {
  readonly #text: string;

  constructor(text: string, members: object) {
    this.#text = text;
    Object.assign(this, members);
  }

  get text(): string {
    return this.#text;
  }
}

async function save(db: Pigeonhole, file: string, _flags: Flags, { output, signal }: Work): Promise<Result> {
  const { saveBackup } = await import('./save-backup.js');
  let progress: ((done: number) => void) | undefined;
  const show = (bytes: number, of: number): void => (progress ??= output.startProgress('Saving', of))(bytes);
  const saved = await saveBackup(db, file, show, signal);
  const { bytes, entries, made } = saved;
  return new Result(
    `${file}: ${plural(entries, 'entry', 'entries')} as of ${made}, ${plural(bytes, 'byte')}.`,
    saved,
  );
}

async function status(file: string): Promise<Result> {
  const backup = await openBackup(file);
  backup.close();
  return describe(file, backup.header, 'Its contents were not looked at: `pigeonhole backup verify` does.');
}

async function verify(file: string, _flags: Flags, work: Work): Promise<Result> {
  const backup = await openBackup(file);
  await verifyAll(file, backup, work);
  backup.close();
  return describe(file, backup.header, 'All of it is sound.');
}

async function restoreFile(file: string, flags: Flags, work: Work): Promise<Result> {
  const { holdsDatabase, restore } = await import('../storage/lmdb/backup/restore.js');
  const folder = resolveFolder(flags.to!, '--to');
  if (flags.ifEmpty && holdsDatabase(folder))
    return new Result(`${folder} holds a database. Nothing was changed.`, { folder, restored: false });
  const checked = await openBackup(file);
  await verifyAll(file, checked, work);
  checked.close();
  const { header } = checked;
  if (flags.dryRun) return dryRun(folder, header, flags, holdsDatabase(folder));
  const backup = await openBackup(file);
  const show = work.output.startProgress('Restoring', header.bytes);
  const options = { force: flags.force === true, now: Date.now(), show, signal: work.signal };
  const { entries, kept } = await restore(backup, folder, options).catch((error: Error) => {
    throw refusal(file, error);
  });
  backup.close();
  const before = kept === undefined ? '' : ` What was there is in ${kept}.`;
  const text = `${folder} has ${plural(entries, 'entry', 'entries')}, as of ${header.made}.${before}`;
  return new Result(text, { folder, restored: true, entries, made: header.made, kept: kept ?? null });
}

function dryRun(folder: string, { entries, made }: BackupHeader, { force }: Flags, isThere: boolean): Result {
  if (isThere && !force)
    throw new StartError(`${folder} holds a database: it needs --force. Nothing was changed.`);
  const instead = isThere ? ', and its data file would be kept beside' : '';
  const text = `${folder} would have ${plural(entries, 'entry', 'entries')}, as of ${made}${instead}. Nothing was changed.`;
  return new Result(text, { folder, restored: false, entries, made });
}

/** @throws StartError */
async function openBackup(file: string): Promise<BackupReader> {
  const { BackupReader: Reader } = await import('../storage/lmdb/backup/backup-reader.js');
  try {
    return Reader.open(file);
  } catch (error) {
    throw refusal(file, error as Error);
  }
}

/** @throws StartError */
async function verifyAll(file: string, backup: BackupReader, { output, signal }: Work): Promise<void> {
  try {
    await backup.verify(output.startProgress('Reading', backup.header.bytes), signal);
  } catch (error) {
    throw refusal(file, error as Error);
  }
}

/** What is wrong with the file, in one line; any other error as it is. */
function refusal(file: string, error: Error): Error {
  return error.name === 'BackupFault'
    ? new StartError(`${file} ${error.message}. Nothing was changed.`)
    : error;
}

function describe(file: string, header: BackupHeader, assurance: string): Result {
  const { entries, made, version, bytes } = header;
  const text =
    `${file}: ${plural(entries, 'entry', 'entries')} as of ${made}, by Pigeonhole ${version}, ` +
    `${plural(bytes, 'byte')}. ${assurance}`;
  return new Result(text, { file, ...header });
}
