import type { Command } from 'commander';
import { loadConfig } from '../config/app-config.js';
import { DatabaseError, StartError } from '../errors.js';
import { createEngine, placeOf, withoutPassword } from '../storage/engine-factory.js';
import type { OpenSettings } from '../storage/open-settings.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { MIGRATION } from '../storage/system-keyspace.js';
import { Migration } from '../migration/migration.js';
import { ProgressOutput } from './progress-output.js';

/** As shells report an end by SIGINT. */
const INTERRUPTED = 130;
const A_DAY_MS = 86_400_000;
/** For the old database, which its servers have open. */
const BESIDE_SERVERS: OpenSettings = { readOnly: true, processes: 2 };

/** `pigeonhole migrate <from> <to>` and `pigeonhole migrate --undo <url>` */
export function addMigrateCommand(program: Command): void {
  const command = program
    .command('migrate')
    .description('Moves a database to another engine while its server runs.')
    .usage('[--switch] <from> <to> | --undo <url>')
    .argument('[from]', 'DATABASE_URL of the database')
    .argument('[to]', 'DATABASE_URL of an empty one, or of the one it came from')
    .option(
      '--switch',
      'does not wait until the old server stops: it refuses requests once the copy is there',
    )
    .option('--undo <url>', 'takes the fence away from a database, so that it may be used again')
    .addHelpText('after', HELP);
  command.action((from?: string, to?: string, options: Options = {}) => {
    if (options.undo !== undefined && from === undefined) return undo(options.undo);
    if (options.undo !== undefined) return command.error('--undo takes one database and no other argument');
    if (from === undefined || to === undefined)
      return command.error(`missing required argument '${from === undefined ? 'from' : 'to'}'`);
    return migrate(from, to, options.switch === true);
  });
}

interface Options {
  readonly switch?: boolean;
  readonly undo?: string;
}

const HELP = `
  pigeonhole migrate lmdb:./data redis+cluster://10.0.0.1:6379,10.0.0.2:6379

It copies everything and follows what changes. When it says so, stop the old server: it copies
the rest, compares both sides and ends with 0. Then start the server on the new database.
Until then servers refuse the new one. Whatever interrupts it, the same command goes on where it
stopped.

The old database gets a fence before the last comparison: servers answer 503 and say where it
went, those too that were only paused, and none starts on it. It stays as it was then. A migration
back, with the same two names, brings it to the state of the new one and takes the fence away.
--undo takes it away as well, but what was written to the new one is not in the old one then.`;

async function migrate(from: string, to: string, switchesAtOnce: boolean): Promise<void> {
  if (placeOf(from) === placeOf(to)) throw new StartError('The two databases are the same one.');
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  const source = await open('<from>', from, BESIDE_SERVERS);
  const output = new ProgressOutput();
  let target: StorageEngine | undefined;
  let migration: Migration | undefined;
  try {
    target = await open('<to>', to, { passesFence: true });
    // The folder of a new target exists only now.
    const names = { source: placeOf(from), target: placeOf(to) };
    migration = new Migration(source, target, names, output, interrupt.signal, switchesAtOnce);
    await migration.run();
    output.line(`Done. Start the server with DATABASE_URL=${withoutPassword(to)}`);
  } catch (error) {
    const state = migration?.isFenced === true ? fencedUntil(from) : 'The source is as it was.';
    if (interrupt.signal.aborted) {
      output.line(`Interrupted. ${state} The same command goes on where this one stopped.`);
      process.exitCode = INTERRUPTED;
    } else if (migration?.isFenced === true && error instanceof StartError) {
      throw new StartError(`${error.message} ${state}`);
    } else throw error;
  } finally {
    output.clear();
    await target?.close();
    await source.close();
  }
}

function fencedUntil(from: string): string {
  return `Servers refuse the old database until then, or until \`pigeonhole migrate --undo ${withoutPassword(from)}\`.`;
}

/** Lets servers use a database again that was left. */
async function undo(url: string): Promise<void> {
  const engine = await open('<url>', url, BESIDE_SERVERS);
  try {
    const origin = (await engine.system.get(MIGRATION))?.toString();
    if (origin !== undefined)
      throw new StartError(
        `The database is the target of an unfinished migration from ${origin}. Finish that.`,
      );
    const place = await engine.fence();
    if (place === undefined) return console.log('The database has no fence. Nothing was changed.');
    await engine.setFence(undefined);
    console.log(`Done. The database may be used again. What was written to ${place} is not in it.`);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new StartError(`${error.detail} Start the command again.`);
  } finally {
    await engine.close();
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
