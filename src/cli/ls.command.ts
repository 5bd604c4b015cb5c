import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { limitOf } from './limit.js';
import { isForPeople, print, printRows, visible } from './output.js';

interface Flags extends ServerOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly limit?: string;
  readonly json?: boolean;
}

const PAGE = 1000;

/** `pigeonhole ls [PREFIX]` */
export function addLsCommand(program: Command): void {
  const command = program
    .command('ls')
    .description('Lists keys, in the order of their bytes. What follows a / is folded into one line.')
    .argument('[prefix]', 'only keys that begin with it', '')
    .option('-l, --long', 'with size, type, tag and expiry')
    .option('-r, --recursive', 'folds nothing')
    .option('--limit <count>', 'at most so many lines (default: all)')
    .option(...JSON_OPTION);
  addServerOptions(command).action((prefix: string, flags: Flags) =>
    withServer(flags, async (db) => {
      let left = limitOf(flags.limit);
      const delimiter = flags.recursive ? undefined : '/';
      let after: string | undefined;
      do {
        const page = await db.list({ prefix, delimiter, after, limit: Math.min(left, PAGE) });
        const groups = page.prefixes.map((group) => ({ key: group, prefix: group }));
        const rows = [...page.items, ...groups].sort((a, b) =>
          Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)),
        );
        await show(rows, flags);
        left -= rows.length;
        after = page.next ?? undefined;
      } while (after !== undefined && left > 0);
    }),
  );
}

type Row = { readonly key: string; readonly prefix?: string };

async function show(rows: readonly Row[], { long, json }: Flags): Promise<void> {
  if (json || !isForPeople())
    return printRows<object>(
      rows.map((row) => (row.prefix === undefined ? row : { prefix: row.prefix })),
      [],
      true,
    );
  if (long) return printRows(rows as Record<string, unknown>[] & Row[], LONG, false);
  await print(rows.map(({ key }) => `${visible(key)}\n`).join(''));
}

const LONG = ['key', 'size', 'type', 'etag', 'expires'] as never[];
