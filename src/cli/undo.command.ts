import type { Command } from 'commander';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, naming, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { isForPeople, print, printOne, visible } from './output.js';

interface Flags extends ServerOptions {
  readonly to?: string;
  readonly json?: boolean;
}

/** `pigeonhole undo KEY` */
export function addUndoCommand(program: Command): void {
  const command = program
    .command('undo')
    .description('Takes back the newest change of an entry, also if that was its deletion.')
    .argument('<key>')
    .option('--to <tag>', 'stores this version again; `pigeonhole history` lists tags')
    .option(...JSON_OPTION);
  addServerOptions(command)
    .addHelpText('after', '\nThat is a change of its own: a second `undo` takes back the first.')
    .action((key: string, flags: Flags) => withServer(flags, (db) => undoChange(db, key, flags)));
}

async function undoChange(db: Pigeonhole, key: string, { to, json }: Flags): Promise<void> {
  const { putBack, undo } = await import('../client/past.js');
  if (to !== undefined) await naming('--to', 'from', putBack(db, key, to));
  const isThere = to !== undefined || (await undo(db, key)) !== undefined;
  if (json || !isForPeople()) return printOne({ key, from: to, deleted: !isThere }, true);
  await print(
    isThere ? `${visible(key)} is what it was.\n` : `Deleted ${visible(key)}: there was none before.\n`,
  );
}
