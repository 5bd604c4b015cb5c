import type { Command } from 'commander';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, naming, withServer, type ServerOptions } from './api-client.js';
import { absent } from './get.command.js';
import { showDifference } from './show-difference.js';

/** `pigeonhole diff KEY ETAG [ETAG]` */
export function addDiffCommand(program: Command): void {
  const command = program
    .command('diff')
    .description('Shows in which lines two versions of an entry differ.')
    .argument('<key>')
    .argument('<tag>', 'the version before, by its tag or a time; `pigeonhole history` lists tags')
    .argument('[tag]', 'the version after (default: what is stored now)');
  addServerOptions(command).action(
    (key: string, before: string, after: string | undefined, flags: ServerOptions) =>
      withServer(flags, async (db) => {
        const was = await versionAt(db, key, before);
        const is = await versionAt(db, key, after);
        if (!was && !is) throw absent(key, db.url);
        showDifference([before, was ?? NOTHING], [after ?? 'now', is ?? NOTHING]);
      }),
  );
}

/** What an entry is that has been deleted, or not been made yet. */
const NOTHING = new Uint8Array();

async function versionAt(db: Pigeonhole, key: string, tag?: string): Promise<Uint8Array | undefined> {
  if (tag === undefined) return (await db.get(key))?.bytes();
  const { getAt } = await import('../client/past.js');
  return (await naming('A version', 'at', getAt(db, key, tag)))?.bytes();
}
