import type { Command } from 'commander';
import type { Version } from '../client/past.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { limitOf } from './limit.js';
import { isForPeople, printRows } from './output.js';

interface Flags extends ServerOptions {
  readonly limit?: string;
  readonly json?: boolean;
}

const PAGE = 100;
const COLUMNS = ['time', 'kind', 'size', 'type', 'by', 'etag'] as const;

/** `pigeonhole history KEY` */
export function addHistoryCommand(program: Command): void {
  const command = program
    .command('history')
    .description(
      'Lists what became of an entry, the newest change first, as far back as the server keeps changes.',
    )
    .argument('<key>')
    .option('--limit <count>', 'at most so many changes (default: all)')
    .option(...JSON_OPTION);
  addServerOptions(command).action((key: string, flags: Flags) =>
    withServer(flags, async (db) => {
      const { history } = await import('../client/past.js');
      const isJson = flags.json || !isForPeople();
      let left = limitOf(flags.limit);
      let after: string | undefined;
      let count = 0;
      const rows: Version[] = [];
      do {
        const page = await history(db, key, { after, limit: Math.min(left, PAGE), values: isJson });
        if (isJson) await printRows(page.items, [], true);
        else rows.push(...page.items);
        left -= page.items.length;
        count += page.items.length;
        after = page.next ?? undefined;
      } while (after !== undefined && left > 0);
      if (count === 0)
        throw new CommandError(
          `The server keeps no change of the key ${JSON.stringify(key)}. [${db.url}]`,
          EXIT.notFound,
        );
      if (!isJson) await printRows(rows, COLUMNS, false);
    }),
  );
}
