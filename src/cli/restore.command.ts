import type { Command } from 'commander';
import type { RestoreOptions, RestoreReport } from '../client/past.js';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { confirm, isForPeople, plural, print, visible } from './output.js';

interface Flags extends ServerOptions {
  readonly prefix: string;
  readonly at: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `pigeonhole restore --prefix P --at TIME` */
export function addRestoreCommand(program: Command): void {
  const command = program
    .command('restore')
    .description('Puts all entries with a prefix back to what they were at a moment.')
    .requiredOption('--prefix <text>', 'all keys that begin with it; an empty one is everything')
    .requiredOption('--at <moment>', 'a time, such as 2030-01-31T12:00:00Z, or the tag of a change')
    .option('--yes', 'does not ask; needed where there is no terminal')
    .option('--dry-run', 'counts what would change, and changes nothing')
    .option(...JSON_OPTION);
  addServerOptions(command)
    .addHelpText('after', '\nEach entry that differs is one change, so that this can be taken back as well.')
    .action((flags: Flags) => withServer(flags, (db) => restoreRange(db, flags)));
}

async function restoreRange(db: Pigeonhole, flags: Flags): Promise<void> {
  const { restore } = await import('../client/past.js');
  const { prefix, at, yes, dryRun } = flags;
  const range: RestoreOptions = { prefix, at, all: prefix === '' };
  if (dryRun) return tell(await restore(db, { ...range, dryRun }), flags);
  if (!yes) {
    if (!process.stdin.isTTY || !process.stderr.isTTY)
      throw new CommandError('Without a terminal to ask on it needs --yes. --dry-run counts.', EXIT.usage);
    const trial = await restore(db, { ...range, dryRun: true });
    if (!(await confirm(`${sentenceOf(trial, true)} Do it on ${db.url}?`)))
      throw new CommandError('Nothing was changed.');
  }
  await tell(await restore(db, range), flags);
}

async function tell(report: RestoreReport, { dryRun, json }: Flags): Promise<void> {
  if (json || !isForPeople()) await print(`${JSON.stringify({ ...report, dryRun: dryRun ?? false })}\n`);
  else await print(`${sentenceOf(report, dryRun)}\n`);
  for (const { key, detail } of report.errors)
    console.error(`pigeonhole: ${visible(key)}: ${visible(detail)}`);
  const more = report.errorCount - report.errors.length;
  if (more > 0) console.error(`pigeonhole: and ${more} more.`);
  if (report.errorCount > 0) process.exitCode = EXIT.failed;
}

function sentenceOf({ restored, deleted, unchanged }: RestoreReport, isTrial = false): string {
  const entries = plural(restored, 'entry', 'entries');
  return isTrial
    ? `${entries} would be put back, ${deleted} deleted, ${unchanged} left as they are.`
    : `Put back ${entries}, deleted ${deleted}, left ${unchanged} as they are.`;
}
