import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { printOne } from './output.js';

/** `pigeonhole stats` */
export function addStatsCommand(program: Command): void {
  const command = program
    .command('stats')
    .description('Shows what the server is doing. The token needs the right monitor.')
    .option(...JSON_OPTION);
  addServerOptions(command).action((flags: ServerOptions & { json?: boolean }) =>
    withServer(flags, async (db) =>
      printOne((await (await db.request('stats')).json()) as object, flags.json),
    ),
  );
}
