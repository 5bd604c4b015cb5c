import type { Command } from 'commander';
import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Pigeonhole, WatchEvent } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { isForPeople, print, visible } from './output.js';

interface Flags extends ServerOptions {
  readonly prefix?: string[];
  readonly exec?: string;
  readonly state?: string;
  readonly since?: string;
  readonly json?: boolean;
}

/** `pigeonhole watch KEY` and `pigeonhole watch --prefix P` */
export function addWatchCommand(program: Command): void {
  const command = program
    .command('watch')
    .description('Follows keys: what is there, and then every change, over lost connections and restarts.')
    .usage('[options] <key...> | --prefix <text>')
    .argument('[key...]')
    .option('--prefix <text>', 'all keys that begin with it; may be repeated', collect)
    .option(
      '--exec <command>',
      'runs it in a shell for each event, one at a time, with the event as JSON on stdin',
    )
    .option('--state <file>', 'keeps in it how far it has come, so that a restart misses nothing')
    .option('--since <id>', '`now`, or the id of an event: leaves out what is there (default: shows it)')
    .option(...JSON_OPTION);
  addServerOptions(command)
    .addHelpText('after', HELP)
    .action((key: string[], flags: Flags) => withServer(flags, (db) => watch(db, key, flags)));
}

const HELP = `
An event is {"kind":"put","id":"…","key":"…","etag":"…","value":"…"}; further kinds are delete,
expire, ready (what was there has been told) and reset (it is told anew). --exec is run for all but
ready; it finds PIGEONHOLE_KIND and PIGEONHOLE_KEY in its environment, too. If it fails, the watch
ends with 1, and with --state the next one begins with that event again: an event may come twice,
but none is left out.`;

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

async function watch(db: Pigeonhole, key: readonly string[], flags: Flags): Promise<void> {
  const { prefix = [], exec, state } = flags;
  if (key.length + prefix.length === 0) throw new CommandError('Give a key or --prefix.', EXIT.usage);
  const since = state === undefined ? flags.since : positionIn(state, flags.since);
  for await (const event of db.watch({ key, prefix }, { since, heartbeats: state !== undefined })) {
    if (event.kind !== 'heartbeat') await (exec === undefined ? show(event, flags) : run(exec, event));
    if (state !== undefined && event.kind === 'reset') store(state, '');
    else if (state !== undefined && event.id !== undefined) store(state, event.id);
  }
}

async function show(event: WatchEvent, { json }: Flags): Promise<void> {
  if (json || !isForPeople()) return print(`${JSON.stringify(event)}\n`);
  if (!('key' in event)) return;
  const value = event.kind !== 'put' ? '' : (event.value ?? `(${event.size} bytes)`);
  await print(`${event.kind.padEnd(6)}  ${visible(event.key)}  ${visible(value)}`.trimEnd() + '\n');
}

/** Runs the command with the event. @throws CommandError if it fails */
async function run(command: string, event: WatchEvent): Promise<void> {
  if (event.kind === 'ready') return;
  const key = 'key' in event && !event.key.includes('\0') ? event.key : '';
  const env = { ...process.env, PIGEONHOLE_KIND: event.kind, PIGEONHOLE_KEY: key };
  const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'inherit', 'inherit'], env });
  child.stdin.on('error', () => undefined).end(`${JSON.stringify(event)}\n`);
  const ended = await new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(code ?? signal));
  });
  if (ended !== 0) throw new CommandError(`The command ended with ${ended} for ${JSON.stringify(event)}.`);
}

/** Returns where a watch goes on that keeps its position in `file`: `first` if it has none yet. */
function positionIn(file: string, first: string | undefined): string | undefined {
  try {
    // It is empty while all is told anew after a reset, which `first` must not leave out.
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return first;
    throw error;
  }
}

/** Replaces the file as a whole. */
function store(file: string, id: string): void {
  writeFileSync(`${file}.new`, `${id}\n`);
  renameSync(`${file}.new`, file);
}
