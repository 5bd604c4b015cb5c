import type { Command } from 'commander';
import { resolve } from 'node:path';
import { StartError } from '../errors.js';

/** `pigeonhole set-clock <folder>` */
export function addSetClockCommand(program: Command): void {
  program
    .command('set-clock')
    .description("Sets the clock of a stopped database back to this computer's.")
    .argument('<folder>', 'the folder of the database')
    .addHelpText('after', HELP)
    .action(run);
}

const HELP = `
A database's clock never runs backwards. After this computer's clock was ahead for a while, the
database stays ahead. Stop the server, check this computer's clock, and run this command. Entries
keep the times at which they expire, so what was stored meanwhile may last longer than it should.`;

async function run(path: string): Promise<void> {
  const folder = resolve(path);
  const now = Date.now();
  const before = await set(folder, now);
  const is = `The clock of ${folder} ${before > now ? 'was' : 'is'} ${new Date(before).toISOString()}`;
  if (before > now) console.log(`${is}. It is ${new Date(now).toISOString()} now.`);
  else console.log(`${is}, which is not ahead of this computer's. Nothing was changed.`);
}

/** @throws StartError that does not name the setting DATABASE_URL, which the command does not use */
async function set(folder: string, now: number): Promise<number> {
  const { setClock } = await import('../storage/lmdb/store-clock.js');
  try {
    return await setClock(folder, now);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new StartError(error.message.replace('DATABASE_URL: ', ''));
  }
}
