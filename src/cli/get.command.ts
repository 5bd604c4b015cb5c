import type { Command } from 'commander';
import type { Entry, Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { CommandError, EXIT } from './exit.js';
import { isForPeople, isText, print, printOne } from './output.js';

interface Flags extends ServerOptions {
  readonly at?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Larger values are streamed; a small one need not wait until Node has loaded its streams. */
const AT_ONCE = 64 * 1024;

/** `pigeonhole get KEY` */
export function addGetCommand(program: Command): void {
  addServerOptions(
    program
      .command('get')
      .description('Writes out a value: exactly its bytes, and on a terminal a new line after them.')
      .argument('<key>')
      .option('--at <tag>', 'the version with this tag, or of this time; `pigeonhole history` lists both')
      .option('--force', 'writes to a terminal what is not text')
      .option('--json', 'the value and its description as JSON'),
  ).action((key: string, flags: Flags) => withServer(flags, (db) => get(db, key, flags)));
}

async function get(db: Pigeonhole, key: string, { at, force, json }: Flags): Promise<void> {
  if (json) {
    if (at !== undefined)
      throw new CommandError('--json is for what is stored now. `history` has it.', EXIT.usage);
    const { items } = await db.list({ prefix: key, limit: 1, values: true });
    if (items[0]?.key !== key) throw absent(key, db.url);
    return printOne(items[0], true);
  }
  const entry = at === undefined ? await db.get(key) : await versionOf(db, key, at);
  if (!entry) throw absent(key, db.url, at);
  if (!isForPeople() || force) return writeOut(entry);
  const bytes = await entry.bytes();
  if (!isText(bytes))
    throw new CommandError(
      `The value is not text that a terminal can show (${entry.type}, ${bytes.length} bytes). ` +
        'Send it to a file, or use --force.',
    );
  await print(bytes);
  if (bytes.length > 0 && bytes.at(-1) !== 10) await print('\n');
}

async function writeOut(entry: Entry): Promise<void> {
  // An empty one has no size, as one whose size is not told.
  if (entry.size > 0 && entry.size <= AT_ONCE) return print(await entry.bytes());
  for await (const chunk of entry.body ?? []) await print(chunk);
}

async function versionOf(db: Pigeonhole, key: string, tag: string): Promise<Entry | undefined> {
  const { getAt } = await import('../client/past.js');
  return getAt(db, key, tag);
}

/** That there is no such entry, or was none `at` a moment. */
export function absent(key: string, url: string, at?: string): CommandError {
  const when = at === undefined ? 'is not in the database' : `was not in the database at ${at}`;
  return new CommandError(`The key ${JSON.stringify(key)} ${when}. [${url}]`, EXIT.notFound);
}
