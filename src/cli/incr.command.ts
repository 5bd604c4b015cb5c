import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { addConditions, type ConditionFlags } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { print } from './output.js';

/** `pigeonhole incr KEY [BY]` */
export function addIncrCommand(program: Command): void {
  const command = program
    .command('incr')
    .description('Adds to a counter, and writes out the sum. A counter that is not there begins at 0.')
    .argument('<key>')
    .argument('[by]', 'a 64-bit integer; put -- before a negative one', '1')
    .option('--ttl <duration>', 'how long a new counter lives: 90s, 15m, 2h (default: for ever)')
    .option('--json', 'the sum, as always');
  addServerOptions(addConditions(command)).action(
    (key: string, by: string, flags: ServerOptions & ConditionFlags & { ttl?: string }) =>
      withServer(flags, async (db) => {
        if (!/^-?\d{1,19}$/.test(by) || BigInt.asIntN(64, BigInt(by)) !== BigInt(by))
          throw new CommandError('BY must be a 64-bit integer.', EXIT.usage);
        const { ttl, ifMatch, ifNoneMatch, idempotencyKey } = flags;
        const options = { ttl, ifMatch, ifNoneMatch, idempotencyKey };
        await print(`${await db.incr(key, BigInt(by), options)}\n`);
      }),
  );
}
