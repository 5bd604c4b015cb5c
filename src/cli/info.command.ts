import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { absent } from './get.command.js';
import { printOne } from './output.js';

/** `pigeonhole info KEY` */
export function addInfoCommand(program: Command): void {
  const command = program
    .command('info')
    .description('Describes an entry: its tag, type, size and times.')
    .argument('<key>')
    .option(...JSON_OPTION);
  addServerOptions(command).action((key: string, flags: ServerOptions & { json?: boolean }) =>
    withServer(flags, async (db) => {
      const description = await db.info(key);
      if (!description) throw absent(key, db.url);
      await printOne(description, flags.json);
    }),
  );
}
