import type { Command } from 'commander';
import { withServer } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { printRows, readInput } from './output.js';
import { profileNamed, profilesFile, readProfiles, writeProfiles } from './profiles.js';

/** `pigeonhole profile add|list|remove` */
export function addProfileCommand(program: Command): void {
  const profile = program.command('profile').description('Keeps servers and their tokens, for --profile.');
  profile
    .command('add')
    .description('Keeps a server under a name. Its token is asked for on a terminal, or read from stdin.')
    .argument('<name>')
    .argument('<url>')
    .addHelpText('after', `\nIt is kept in ${profilesFile()}, which only you may read.`)
    .action((name: string, url: string) =>
      withServer({ url }, async () => {
        const token = await readToken();
        writeProfiles({ ...readProfiles(), [name]: { url, ...(token && { token }) } });
      }),
    );
  profile
    .command('list')
    .description('Lists the names, without tokens.')
    .option(...JSON_OPTION)
    .action(({ json }: { json?: boolean }) =>
      withServer({ url: UNUSED }, () => {
        const all = Object.entries(readProfiles());
        const rows = all.map(([name, { url, token }]) => ({
          name,
          url,
          token: token === undefined ? 'no' : 'yes',
        }));
        return printRows(rows, ['name', 'url', 'token'], json);
      }),
    );
  profile
    .command('remove')
    .description('Forgets a server and its token.')
    .argument('<name>')
    .action((name: string) =>
      withServer({ url: UNUSED }, async () => {
        profileNamed(name);
        const { [name]: _removed, ...rest } = readProfiles();
        writeProfiles(rest);
      }),
    );
}

/** No server is asked. */
const UNUSED = 'http://localhost';

/** The token is never an argument, which every user of the computer can see. */
async function readToken(): Promise<string> {
  const text = process.stdin.isTTY
    ? await askSilently('Token (empty for none): ')
    : (await readInput()).toString();
  if (/[^\x21-\x7e]/.test(text.trim())) throw new CommandError('A token is one word of ASCII.', EXIT.usage);
  return text.trim();
}

async function askSilently(question: string): Promise<string> {
  process.stderr.write(question);
  process.stdin.setRawMode(true);
  let text = '';
  try {
    for await (const chunk of process.stdin) {
      for (const character of String(chunk)) {
        if (character === '\r' || character === '\n' || character === '\u0004') return text;
        if (character === '\u0003') throw new CommandError('Interrupted.', EXIT.interrupted);
        text = character === '\u007f' ? text.slice(0, -1) : text + character;
      }
    }
    return text;
  } finally {
    process.stdin.setRawMode(false);
    process.stderr.write('\n');
  }
}
