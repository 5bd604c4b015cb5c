import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config/app-config.js';
import { StartError } from '../errors.js';
import { createEngine, withoutPassword } from '../storage/engine-factory.js';
import type { OpenSettings, StorageEngine } from '../storage/storage-engine.js';
import { Migration } from '../migration/migration.js';
import { ProgressOutput } from './progress-output.js';

/** As shells report an end by SIGINT. */
const INTERRUPTED = 130;
const A_DAY_MS = 86_400_000;
const LMDB = 'lmdb:';

/** `pigeonhole migrate <from> <to>` */
export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('Moves a database to another engine while its server runs.')
    .argument('<from>', 'DATABASE_URL of the database')
    .argument('<to>', 'DATABASE_URL of an empty one')
    .addHelpText('after', HELP)
    .action(migrate);
}

const HELP = `
  pigeonhole migrate lmdb:./data redis+cluster://10.0.0.1:6379,10.0.0.2:6379

It copies everything and follows what changes. When it says so, stop the old server: it copies
the rest, compares both sides and ends with 0. Then start the server on the new database.
Until then the old one stays as it is, and servers refuse the new one. Whatever interrupts
it, the same command goes on where it stopped.`;

async function migrate(from: string, to: string): Promise<void> {
  const sourceName = canonical(from);
  if (sourceName === canonical(to)) throw new StartError('The two databases are the same one.');
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  const source = await open('<from>', from, { readOnly: true, processes: 2 });
  const output = new ProgressOutput();
  let target: StorageEngine | undefined;
  try {
    target = await open('<to>', to, {});
    await new Migration(source, target, sourceName, output, interrupt.signal).run();
    output.line(`Done. Start the server with DATABASE_URL=${withoutPassword(to)}`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    output.line('Interrupted. The source is as it was; the same command goes on where this one stopped.');
    process.exitCode = INTERRUPTED;
  } finally {
    output.clear();
    await target?.close();
    await source.close();
  }
}

/** One spelling for all URLs of an LMDB database, and without a password. Two URLs of Redis may still mean the same one. */
function canonical(url: string): string {
  if (!url.startsWith(LMDB)) return withoutPassword(url);
  const folder = resolve(url.slice(LMDB.length));
  try {
    return LMDB + realpathSync(folder);
  } catch {
    return LMDB + folder; // it does not exist yet
  }
}

/** @throws StartError that names the argument instead of the setting DATABASE_URL */
async function open(argument: string, url: string, access: OpenSettings): Promise<StorageEngine> {
  try {
    if (url.startsWith('memory:')) throw new StartError('a memory: database is of its own process only.');
    const { maxSnapshotAge, watchLogBytes, waitReplicas } = loadConfig({});
    const engine = await createEngine(url, {
      ...access,
      maxSnapshotAge: Math.max(maxSnapshotAge, A_DAY_MS),
      maxSnapshotBytes: Infinity,
      watchLogBytes,
      waitReplicas,
      onFailure: (error) => {
        console.error(`pigeonhole: ${argument} cannot be written any more: ${error.message}`);
        process.exit(1);
      },
      // What limits the durability of the old servers matters no more.
      report: access.readOnly ? () => undefined : (line) => console.error(line),
    });
    await engine.open();
    return engine;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const message = error.message.replaceAll('DATABASE_URL', argument);
    throw new StartError(message.includes(argument) ? message : `${argument}: ${message}`);
  }
}
