import type { Command } from 'commander';
import type { CheckReport } from '../storage/lmdb/check.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { dataFile, dataFolder, inOneLine } from './data-file.js';
import { plural } from './output.js';
import { ProgressOutput } from './progress-output.js';

/** `pigeonhole check [FOLDER|URL]` */
export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('Lists what is damaged of a data folder, or of what a running server has.')
    .argument('[folder|url]', 'a data folder, on which a server may be running, or the URL of a server')
    .addHelpText('after', HELP);
  addServerOptions(command).action((what: string | undefined, flags: ServerOptions) => {
    const isUrl = what !== undefined && /^https?:/i.test(what);
    if (what !== undefined && (flags.url ?? (isUrl ? undefined : flags.profile)) !== undefined)
      return command.error('name one place: a folder, or a server');
    if (what !== undefined && !isUrl) return inOneLine(() => check(dataFolder(what, ELSEWHERE)));
    const server = isUrl ? { ...flags, url: what } : flags;
    return withServer(server, async (db) => (await import('./check-server.js')).checkServer(db));
  });
}

const ELSEWHERE = ' What a server keeps elsewhere, `pigeonhole check http://…` reads through it.';

const HELP = `
Of a folder it reads every record and index, of a server every entry that the token may read.
Without an argument it asks the server that --url and --profile name. It ends with 0 if everything
is sound. Otherwise it prints a line for each fault, then how many entries are whole, and of a
folder how many \`pigeonhole salvage\` can save, and ends with 1. It changes nothing.`;

async function check(folder: string): Promise<void> {
  const { Check } = await import('../storage/lmdb/check.js');
  const { visit } = await import('../storage/lmdb/guest.js');
  const { PageFile } = await import('../storage/lmdb/pages/page-file.js');
  // What a server overwrites while the file is read would look like damage.
  const guest = await visit(folder);
  const file = PageFile.open(dataFile(folder));
  const output = new ProgressOutput();
  const showProgress = output.startProgress('Reading', file.length);
  try {
    const tell = (fault: string): void => {
      output.clear();
      console.log(fault);
    };
    const report = new Check(file, tell, showProgress).run();
    output.clear();
    console.log(summaryOf(folder, report));
    if (report.faults > 0) process.exitCode = 1;
  } finally {
    file.close();
    guest.leave();
  }
}

function summaryOf(folder: string, { faults, entries, pages, free, segments, salvage }: CheckReport): string {
  if (faults === 0) {
    return (
      `Sound: ${folder} has ${plural(entries, 'entry', 'entries')} on ${plural(pages, 'page')}, ` +
      `${free.toLocaleString('en')} of them free, and ${plural(segments, 'segment')} of the change log.`
    );
  }
  const damaged = `Damaged: ${folder} has ${plural(faults, 'fault')}.`;
  if (!salvage)
    return `${damaged} All ${plural(entries, 'entry', 'entries')} are whole; an export saves them.`;
  const { expected, whole, recovered, uncertain } = salvage;
  const all = expected === undefined ? '' : ` of ${expected.toLocaleString('en')}`;
  return (
    `${damaged} ${entries.toLocaleString('en')}${all} entries are whole. \`pigeonhole salvage\` can save ` +
    `${(whole + recovered + uncertain).toLocaleString('en')}, of which ${uncertain.toLocaleString('en')} may be older or ` +
    'deleted since.'
  );
}
