import type { Command } from 'commander';
import { loadConfig } from '../config/app-config.js';
import { DatabaseError, StartError } from '../errors.js';
import { dataFolder, inOneLine } from './data-file.js';

interface Flags {
  readonly data: string;
  readonly namespace: string;
  readonly can: string;
  readonly ttl?: string;
  readonly note: string;
}

/** `pigeonhole token create` */
export function addTokenCommand(program: Command): void {
  program
    .command('token')
    .description('Makes tokens in the data folder of a server that is stopped.')
    .command('create')
    .description('Makes a token, and writes it out.')
    .requiredOption('--data <folder>', 'the data folder of a server that is stopped')
    .option('--namespace <prefix>', 'what the keys of its holder begin with; ends with /', '')
    .option('--can <rights>', 'what it may do', 'read,write,monitor,admin')
    .option('--ttl <duration>', 'how long it lives, such as 90s, 15m, 2h or 30d; for ever by default')
    .option('--note <text>', 'what it is for', '')
    .addHelpText('after', HELP)
    .action((flags: Flags) => inOneLine(() => run(flags)));
}

const HELP = `
The token is written to the standard output and is kept nowhere else. From the first one on every
request to the server needs a token; so the first must have every right, no namespace and no end.
A server that runs makes tokens with POST /tokens.`;

async function run(flags: Flags): Promise<void> {
  try {
    console.log(await create(flags));
  } catch (error) {
    throw error instanceof DatabaseError ? new StartError(error.detail) : error;
  }
}

/** Returns the text of the new token. */
async function create({ data, ...flags }: Flags): Promise<string> {
  const { createEngine } = await import('../storage/engine-factory.js');
  const { Authenticator } = await import('../auth/authenticator.js');
  const { Tokens } = await import('../auth/tokens.js');
  const { readTokenRequest } = await import('../auth/token-request.js');
  const request = readTokenRequest({ ...flags, can: flags.can.split(',').map((right) => right.trim()) });
  const config = loadConfig({});
  const { maxSnapshotAge, watchLogBytes, waitReplicas } = config;
  const engine = await createEngine(`lmdb:${dataFolder(data)}`, {
    maxSnapshotAge,
    maxSnapshotBytes: Infinity,
    watchLogBytes,
    waitReplicas,
    onFailure: (error) => {
      throw error;
    },
    report: (line) => console.error(line),
  });
  await engine.open();
  try {
    const authenticator = new Authenticator(engine, config);
    await authenticator.look();
    return (await new Tokens(authenticator, engine).create(authenticator.open, request)).text;
  } finally {
    await engine.close();
  }
}
