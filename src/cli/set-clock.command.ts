import type { Command } from 'commander';
import { dataFolder, inOneLine } from './data-file.js';

/** `pigeonhole set-clock <folder>` */
export function addSetClockCommand(program: Command): void {
  program
    .command('set-clock')
    .description("Sets the clock of a stopped database back to this computer's.")
    .argument('<folder>', 'the data folder of a server that is stopped')
    .addHelpText('after', HELP)
    .action((folder: string) => inOneLine(() => run(dataFolder(folder))));
}

const HELP = `
A database's clock never runs backwards. After this computer's clock was ahead for a while, the
database stays ahead. Stop the server, check this computer's clock, and run this command. Entries
keep the times at which they expire, so what was stored meanwhile may last longer than it should.`;

async function run(folder: string): Promise<void> {
  const { setClock } = await import('../storage/lmdb/store-clock.js');
  const now = Date.now();
  const before = await setClock(folder, now);
  const is = `The clock of ${folder} ${before > now ? 'was' : 'is'} ${new Date(before).toISOString()}`;
  if (before > now) console.log(`${is}. It is ${new Date(now).toISOString()} now.`);
  else console.log(`${is}, which is not ahead of this computer's. Nothing was changed.`);
}
