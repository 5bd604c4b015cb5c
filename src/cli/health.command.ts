import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { EXIT } from './exit.js';
import { printOne } from './output.js';

/** `pigeonhole health` */
export function addHealthCommand(program: Command): void {
  const command = program
    .command('health')
    .description(
      'Tells whether the server is ready: ends with 0 if it is, and with 1 if not or if it does not answer.',
    )
    .option('--live', 'asks only whether it is alive')
    .option(...JSON_OPTION);
  addServerOptions(command).action(async (flags: ServerOptions & { live?: boolean; json?: boolean }) => {
    const path = flags.live ? 'health/live' : 'health/ready';
    await withServer(
      flags,
      async (db) => printOne((await (await db.request(path)).json()) as object, flags.json),
      { retries: 0 },
    );
    // Docker knows these two.
    if (process.exitCode !== undefined && process.exitCode !== EXIT.usage) process.exitCode = EXIT.failed;
  });
}
