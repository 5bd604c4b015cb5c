import { Command } from 'commander';
import { AppConfig } from '../config/app-config.js';
import { StartError } from '../errors.js';
import { createEngine, withoutPassword } from '../storage/engine-factory.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { Migration } from './migration.js';

const INTERRUPTED = 130;

/** `pigeonhole migrate <from> <to>` */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('Moves a database to another engine while its server runs; stop the server to switch.')
    .argument('<from>', 'DATABASE_URL of the database')
    .argument('<to>', 'DATABASE_URL of an empty one')
    .action(migrate);
}

async function migrate(from: string, to: string): Promise<void> {
  if ([from, to].includes('memory:')) throw new StartError('A memory: database is of its own process only.');
  if (from === to) throw new StartError('The two databases are the same one.');
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
  const source = await open(from, true);
  let target: StorageEngine | undefined;
  try {
    target = await open(to, false);
    const mark = withoutPassword(from);
    await new Migration(source, target, mark, console.log, interrupt.signal).run();
    console.log(`Done. Start the server with DATABASE_URL=${withoutPassword(to)}`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    console.log('Interrupted. The source is as it was; the same command goes on where this one stopped.');
    process.exitCode = INTERRUPTED;
  } finally {
    await target?.close();
    await source.close();
  }
}

async function open(url: string, readOnly: boolean): Promise<StorageEngine> {
  const { maxSnapshotAge, watchLogBytes, waitReplicas } = new AppConfig();
  const engine = await createEngine(url, {
    readOnly,
    maxSnapshotAge: Math.max(maxSnapshotAge, A_DAY_MS),
    watchLogBytes,
    waitReplicas,
    onFailure: (error) => {
      throw error;
    },
    report: (line) => console.error(line),
  });
  await engine.open();
  return engine;
}

const A_DAY_MS = 86_400_000;
