import type { Command } from 'commander';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION, ONCE_OPTION, type OnceFlag } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { confirm, isForPeople, plural, print } from './output.js';

interface Flags extends ServerOptions, OnceFlag {
  readonly prefix?: string;
  readonly ifMatch?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `pigeonhole del KEY` and `pigeonhole del --prefix P` */
export function addDelCommand(program: Command): void {
  const command = program
    .command('del')
    .description('Deletes an entry, whether or not there is one, or all whose keys begin with a text.')
    .usage('[options] <key> | --prefix <text>')
    .argument('[key]')
    .option('--prefix <text>', 'all keys that begin with it; an empty one is everything')
    .option('--if-match <tag>', 'only if the entry still has this tag')
    .option(...ONCE_OPTION)
    .option('--yes', 'does not ask; needed with --prefix where there is no terminal')
    .option('--dry-run', 'says how many entries there are, and deletes nothing')
    .option(...JSON_OPTION);
  addServerOptions(command).action((key: string | undefined, flags: Flags) =>
    withServer(flags, async (db) => {
      if ((key === undefined) === (flags.prefix === undefined))
        throw new CommandError('Give either a key or --prefix.', EXIT.usage);
      if (key === undefined) return deleteRange(db, flags.prefix!, flags);
      if (flags.dryRun) return tell((await db.info(key)) ? 1 : 0, flags);
      await db.del(key, { ifMatch: flags.ifMatch, idempotencyKey: flags.idempotencyKey });
    }),
  );
}

async function deleteRange(db: Pigeonhole, prefix: string, flags: Flags): Promise<void> {
  if (flags.ifMatch !== undefined) throw new CommandError('--if-match is for one key.', EXIT.usage);
  if (flags.idempotencyKey !== undefined)
    throw new CommandError('--idempotency-key is for one key.', EXIT.usage);
  const all = prefix === '';
  if (flags.dryRun) return tell(await db.delRange({ prefix, dryRun: true, all }), flags);
  if (!flags.yes) {
    if (!process.stdin.isTTY || !process.stderr.isTTY)
      throw new CommandError(
        'Without a terminal to ask on, --prefix needs --yes. --dry-run counts.',
        EXIT.usage,
      );
    const count = await db.delRange({ prefix, dryRun: true, all });
    if (count > 0 && !(await confirm(`Delete ${plural(count, 'entry', 'entries')} of ${db.url}?`)))
      throw new CommandError('Nothing was deleted.');
  }
  await tell(await db.delRange({ prefix, all }), flags);
}

async function tell(count: number, { dryRun, json }: Flags): Promise<void> {
  if (json || !isForPeople())
    return print(`${JSON.stringify({ deleted: count, dryRun: dryRun ?? false })}\n`);
  const what = plural(count, 'entry', 'entries');
  await print(dryRun ? `${what} would be deleted.\n` : `Deleted ${what}.\n`);
}
