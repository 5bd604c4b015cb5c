import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { EXIT } from './exit.js';
import { isForPeople, printOne } from './output.js';

/** The server's document of its health. */
export interface Health {
  readonly status: string;
  /** What is up, what is down, and both; absent without the right to see it. */
  readonly info?: object;
  readonly error?: object;
  readonly details?: object;
}

/** Each thing once. */
export function readable({ status, details }: Health): object {
  return { status, ...details };
}

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
      async (db) => {
        const health = (await (await db.request(path)).json()) as Health;
        const isJson = flags.json ?? !isForPeople();
        await printOne(isJson ? health : readable(health), isJson);
      },
      { retries: 0 },
    );
    // Docker knows these two.
    if (process.exitCode !== undefined && process.exitCode !== EXIT.usage) process.exitCode = EXIT.failed;
  });
}
