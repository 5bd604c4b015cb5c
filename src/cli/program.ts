import type { Command } from 'commander';
import { createRequire } from 'node:module';
import { reportFailure } from '../process.js';
import { VERSION } from '../version.js';
import { EXIT } from './exit.js';

/** The library, without what an import of it looks for in its files: that takes as long as a request. */
const commander = createRequire(import.meta.url)('commander') as typeof import('commander');

type Load = (program: Command) => void;

/**
 * Each command with its line in the help and what adds it to the program. Only the one that runs is loaded, because Node
 * takes longer to load all of them than to ask a server.
 */
const COMMANDS: Readonly<Record<string, readonly [summary: string, load: () => Promise<Load>]>> = {
  get: ['Writes out a value.', async () => (await import('./get.command.js')).addGetCommand],
  put: ['Stores a value.', async () => (await import('./put.command.js')).addPutCommand],
  del: [
    'Deletes an entry, or all with a prefix.',
    async () => (await import('./del.command.js')).addDelCommand,
  ],
  ls: ['Lists keys.', async () => (await import('./ls.command.js')).addLsCommand],
  incr: ['Adds to a counter.', async () => (await import('./incr.command.js')).addIncrCommand],
  touch: ['Changes when an entry expires.', async () => (await import('./touch.command.js')).addTouchCommand],
  info: ['Describes an entry.', async () => (await import('./info.command.js')).addInfoCommand],
  edit: ['Opens a value in your editor.', async () => (await import('./edit.command.js')).addEditCommand],
  history: [
    'Lists the versions of an entry.',
    async () => (await import('./history.command.js')).addHistoryCommand,
  ],
  diff: ['Shows how two versions differ.', async () => (await import('./diff.command.js')).addDiffCommand],
  undo: ['Takes back a change of an entry.', async () => (await import('./undo.command.js')).addUndoCommand],
  restore: [
    'Puts a range back to an earlier moment.',
    async () => (await import('./restore.command.js')).addRestoreCommand,
  ],
  watch: ['Follows keys.', async () => (await import('./watch.command.js')).addWatchCommand],
  lock: ['Runs a command under a lock.', async () => (await import('./lock.command.js')).addLockCommand],
  export: [
    'Writes out entries as lines.',
    async () => (await import('./export.command.js')).addExportCommand,
  ],
  import: [
    'Stores the lines of an export.',
    async () => (await import('./import.command.js')).addImportCommand,
  ],
  batch: ['Does many operations at once.', async () => (await import('./batch.command.js')).addBatchCommand],
  token: ['Makes, lists and ends tokens.', async () => (await import('./token.command.js')).addTokenCommand],
  health: [
    'Tells whether the server is ready.',
    async () => (await import('./health.command.js')).addHealthCommand,
  ],
  stats: [
    'Shows what the server is doing.',
    async () => (await import('./stats.command.js')).addStatsCommand,
  ],
  profile: [
    'Keeps servers and their tokens.',
    async () => (await import('./profile.command.js')).addProfileCommand,
  ],
  serve: ['Starts the server.', async () => (await import('./serve.command.js')).addServeCommand],
  migrate: [
    'Moves a database to another engine while its server runs.',
    async () => (await import('./migrate.command.js')).addMigrateCommand,
  ],
  check: [
    'Looks for damage in a data folder or at a server.',
    async () => (await import('./check.command.js')).addCheckCommand,
  ],
  salvage: [
    'Saves what is whole of a damaged data folder.',
    async () => (await import('./salvage.command.js')).addSalvageCommand,
  ],
  backup: [
    'Copies a running database, and puts a copy back.',
    async () => (await import('./backup.command.js')).addBackupCommand,
  ],
  compact: [
    'Makes the file of a data folder as small as it can be.',
    async () => (await import('./compact.command.js')).addCompactCommand,
  ],
  'set-clock': [
    "Sets the clock of a stopped database back to this computer's.",
    async () => (await import('./set-clock.command.js')).addSetClockCommand,
  ],
  completion: [
    'Writes out what makes a shell complete commands, flags and keys.',
    async () => (await import('./completion.command.js')).addCompletionCommand,
  ],
};

/** Runs the command that the arguments of the process name. */
export async function runProgram(): Promise<void> {
  try {
    const args = serverOptionsLast(process.argv.slice(2));
    const program = newProgram();
    await addCommands(program, args[0] ?? '--');
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof commander.CommanderError) return end(error.exitCode === 0 ? EXIT.done : EXIT.usage);
    const { startFailure } = await import('../errors.js');
    const line = startFailure(error);
    if (line === undefined) throw error;
    reportFailure(line);
    process.exit(1);
  }
}

/** The process ends by itself, so that a help text reaches a slow reader. */
function end(code: number): void {
  process.exitCode = code;
}

function newProgram(): Command {
  return new commander.Command('pigeonhole')
    .description('A small, durable key-value database over plain HTTP.')
    .version(VERSION)
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`pigeonhole: ${inOneLine(text)}\n`) })
    .addHelpText('after', AFTER_HELP);
}

const AFTER_HELP = `
\`pigeonhole\` alone starts the server; \`pigeonhole serve --help\` lists its flags, and
\`pigeonhole <command> --help\` what a command takes. Exit codes: 0 done, 1 refused or failed,
2 no connection, 3 not found, 4 condition failed, 5 not allowed, 6 outcome unknown, 64 usage,
130 interrupted.`;

/** Adds the command that `first` names, or for the help all of them by name. */
async function addCommands(program: Command, first: string): Promise<void> {
  if (await addCommand(program, first)) return;
  if (/^(-h|--help|-V|--version)$/.test(first)) {
    for (const [name, [summary]] of Object.entries(COMMANDS)) program.command(name).description(summary);
  } else if (first.startsWith('-')) {
    (await COMMANDS['serve']![1]())(program);
  } else if (first === 'complete') {
    const { addCompleteCommand } = await import('./complete.command.js');
    const load = async (name: string) =>
      (await addCommand(program, name)) ? program.commands.find((each) => each.name() === name) : undefined;
    addCompleteCommand(program, Object.keys(COMMANDS), load);
  } else {
    program.error(`unknown command '${first}'${suggestion(first)}`);
  }
}

/** Adds the command of that name. Returns whether there is one. */
async function addCommand(program: Command, name: string): Promise<boolean> {
  if (!Object.hasOwn(COMMANDS, name)) return false;
  (await COMMANDS[name]![1]())(program);
  return true;
}

/** `--url` and `--profile` may stand before the command, where others have them. */
function serverOptionsLast(args: readonly string[]): string[] {
  const leading = /^(--url|--profile)(=.*)?$/.exec(args[0] ?? '');
  if (!leading) return [...args];
  const taken = leading[2] === undefined ? 2 : 1;
  const rest = serverOptionsLast(args.slice(taken));
  const command = rest[0] === 'token' ? 2 : 1;
  return [...rest.slice(0, command), ...args.slice(0, taken), ...rest.slice(command)];
}

function suggestion(word: string): string {
  const near = Object.keys(COMMANDS)
    .map((name) => ({ name, distance: distance(word, name) }))
    .sort((a, b) => a.distance - b.distance)[0]!;
  return near.distance <= Math.max(1, word.length / 3) ? ` (Did you mean ${near.name}?)` : '';
}

/** How many letters have to be put in, taken out or replaced. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_each, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1]));
    row = next;
  }
  return row[b.length]!;
}

/** The library's message on wrong arguments. */
function inOneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ');
}
