import type { Command } from 'commander';
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { addConditions, JSON_OPTION, type ConditionFlags } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { isForPeople, plural, print, printOne, readInput, visible } from './output.js';

interface Flags extends ServerOptions, ConditionFlags {
  readonly type?: string;
  readonly ttl?: string;
  readonly create?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `pigeonhole put KEY [VALUE|@FILE|-]` */
export function addPutCommand(program: Command): void {
  const command = program
    .command('put')
    .description('Stores a value.')
    .usage('[options] <key> [value|@file|-]')
    .argument('<key>')
    .argument('[value]', 'text; @file for what is in a file; - or nothing for what is piped in')
    .option('--type <type>', 'media type (default: text/plain for UTF-8, else application/octet-stream)')
    .option('--ttl <duration>', 'how long it lives: 500ms, 90s, 15m, 2h, 7d, none or keep (default: none)')
    .option('--create', 'only if there is no entry yet')
    .option('--dry-run', 'says what would be stored, and stores nothing')
    .option(...JSON_OPTION);
  addServerOptions(addConditions(command))
    .addHelpText('after', '\nBefore a value that begins with - put --: pigeonhole put key -- -5')
    .action((key: string, value: string | undefined, flags: Flags) =>
      withServer(flags, async (db) => {
        const { type: given, ttl, create, ifMatch, ifNoneMatch, idempotencyKey, dryRun, json } = flags;
        const bytes = await valueOf(value);
        const type = given ?? (isUtf8(bytes) ? 'text/plain; charset=utf-8' : 'application/octet-stream');
        if (dryRun) return printOne({ key, type, size: bytes.length, stored: false }, json);
        const stored = await db.put(key, bytes, { type, ttl, create, ifMatch, ifNoneMatch, idempotencyKey });
        if (json || !isForPeople()) return printOne(stored, true);
        const what = stored.isNew ? 'Created' : 'Replaced';
        await print(`${what} ${visible(key)}: ${plural(stored.size, 'byte')}, tag ${stored.etag}\n`);
      }),
    );
}

async function valueOf(value: string | undefined): Promise<Buffer<ArrayBuffer>> {
  if (value !== undefined && value !== '-')
    return (value.startsWith('@') ? readFile(value.slice(1)) : Buffer.from(value)) as Promise<
      Buffer<ArrayBuffer>
    >;
  if (value === undefined && process.stdin.isTTY)
    throw new CommandError('There is no value: give it after the key, as @file, or pipe it in.', EXIT.usage);
  return readInput();
}
