import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { readable, type Health } from './health.command.js';
import { isForPeople, print, printOne, printRows } from './output.js';

interface Stats {
  readonly health: Health;
  /** The newest first; null for a token that may not read. */
  readonly changes: readonly Change[] | null;
}

interface Change {
  readonly time: string;
  readonly kind: string;
  readonly key: string;
  readonly size: number | null;
  readonly by: string | null;
}

const COLUMNS = ['time', 'kind', 'key', 'size', 'by'] as const;

/** `pigeonhole stats` */
export function addStatsCommand(program: Command): void {
  const command = program
    .command('stats')
    .description('Shows what the server is doing. The token needs the right monitor.')
    .option(...JSON_OPTION);
  addServerOptions(command).action((flags: ServerOptions & { json?: boolean }) =>
    withServer(flags, async (db) => {
      const stats = (await (await db.request('stats')).json()) as Stats;
      if (flags.json || !isForPeople()) return printOne(stats, true);
      const { changes, ...figures } = stats;
      await printOne({ ...figures, health: readable(stats.health) }, false);
      if (!changes?.length) return;
      await print('\n');
      await printRows(changes, COLUMNS, false);
    }),
  );
}
