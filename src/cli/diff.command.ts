import type { Command } from 'commander';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { showDifference } from './show-difference.js';

/** `pigeonhole diff KEY ETAG [ETAG]` */
export function addDiffCommand(program: Command): void {
  const command = program
    .command('diff')
    .description('Shows in which lines two versions of an entry differ.')
    .argument('<key>')
    .argument('<tag>', 'the version before; `pigeonhole history` lists tags')
    .argument('[tag]', 'the version after (default: what is stored now)');
  addServerOptions(command).action(
    (key: string, before: string, after: string | undefined, flags: ServerOptions) =>
      withServer(flags, async (db) => {
        const was = await valueAt(db, key, before);
        const is = after === undefined ? await present(db, key) : await valueAt(db, key, after);
        showDifference([before, was], [after ?? 'now', is]);
      }),
  );
}

/** What was deleted at that moment is nothing. */
async function valueAt(db: Pigeonhole, key: string, tag: string): Promise<Uint8Array> {
  const { getAt } = await import('../client/past.js');
  return (await (await getAt(db, key, tag))?.bytes()) ?? new Uint8Array();
}

async function present(db: Pigeonhole, key: string): Promise<Uint8Array> {
  return (await (await db.get(key))?.bytes()) ?? new Uint8Array();
}
