import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION, ONCE_OPTION, type OnceFlag } from './conditions.js';
import { printOne } from './output.js';

/** `pigeonhole touch KEY TTL` */
export function addTouchCommand(program: Command): void {
  const command = program
    .command('touch')
    .description('Changes when an entry expires, and nothing else.')
    .argument('<key>')
    .argument('<ttl>', 'from now on: 500ms, 90s, 15m, 2h, 7d; none for never')
    .option('--if-match <tag>', 'only if the entry still has this tag')
    .option(...ONCE_OPTION)
    .option(...JSON_OPTION);
  addServerOptions(command).action(
    (key: string, ttl: string, flags: ServerOptions & OnceFlag & { ifMatch?: string; json?: boolean }) =>
      withServer(flags, async (db) =>
        printOne(
          await db.touch(key, ttl, { ifMatch: flags.ifMatch, idempotencyKey: flags.idempotencyKey }),
          flags.json,
        ),
      ),
  );
}
