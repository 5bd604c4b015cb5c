import type { Command } from 'commander';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION } from './conditions.js';
import type { TokenFlags } from './create-token.js';
import { CommandError, EXIT } from './exit.js';
import { printOne, printRows, printToken } from './output.js';

type Output = ServerOptions & { readonly json?: boolean };
type CreateFlags = TokenFlags & Output & { readonly data?: string; readonly requireConditions?: boolean };

/** A token as the server describes it. */
interface Token {
  readonly id: string;
  readonly token?: string;
}

const COLUMNS = ['id', 'namespace', 'can', 'created', 'expires', 'lastUsed', 'note'] as never[];

/** In a pipe, too, a secret stands alone without it, so that a script can keep it. */
const SECRET_OPTION = ['--json', 'the token and its description as JSON'] as const;

/** `pigeonhole token create|list|show|rotate|revoke` */
export function addTokenCommand(program: Command): void {
  const token = program.command('token').description('Makes, lists and ends tokens.');
  addCreate(token);
  addList(token);
  const show = token.command('show').description('Describes a token; `self` is the one in use.');
  addServerOptions(show.argument('[id]', 'its public id', 'self').option(...JSON_OPTION)).action(
    (id: string, flags: Output) =>
      withServer(flags, async (db) =>
        printOne((await (await db.request(`tokens/${encodeURIComponent(id)}`)).json()) as object, flags.json),
      ),
  );
  const rotate = token.command('rotate').description('Gives a token a new secret, and writes it out.');
  rotate.argument('<id>').option('--grace <duration>', 'how long the old secret still works: 10m, 1h');
  addServerOptions(rotate.option(...SECRET_OPTION)).action((id: string, flags: Output & { grace?: string }) =>
    change(flags, `tokens/${encodeURIComponent(id)}/rotate`, { grace: flags.grace }),
  );
  const revoke = token.command('revoke').description('Ends a token and every token that was made with it.');
  addServerOptions(revoke.argument('<id>')).action((id: string, flags: ServerOptions) =>
    withServer(
      flags,
      async (db) => void (await db.request(`tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })),
    ),
  );
}

function addCreate(token: Command): void {
  const create = token
    .command('create')
    .description('Makes a token, and writes it out. It is kept nowhere else.')
    .option(
      '--data <folder>',
      'makes it in the data folder of a server that is stopped, which needs no token',
    )
    .option('--namespace <prefix>', 'what the keys of its holder begin with; ends with /', '')
    .option('--can <rights>', 'what it may do', 'read,write,monitor,admin')
    .option('--ttl <duration>', 'how long it lives, such as 90s, 15m, 2h or 30d; for ever by default')
    .option('--note <text>', 'what it is for', '')
    .option('--require-conditions', 'lets it write only under If-Match or If-None-Match')
    .option(...SECRET_OPTION);
  addServerOptions(create)
    .addHelpText('after', HELP)
    .action(async (flags: CreateFlags) => {
      const { data, namespace, can, ttl, note, requireConditions } = flags;
      if (data !== undefined) {
        if (flags.url !== undefined || flags.profile !== undefined || requireConditions)
          return create.error(
            '--data asks no server: give it without --url, --profile and --require-conditions',
          );
        return (await import('./create-token.js')).createInFolder(data, flags);
      }
      const rights = can.split(',').map((right) => right.trim());
      return change(flags, 'tokens', { namespace, can: rights, ttl, note, requireConditions });
    });
}

const HELP = `
From the first token on every request needs one; so the first must have every right, no namespace
and no end. With --data whoever has lost the admin token makes a new one: stop the server first.`;

function addList(token: Command): void {
  const list = token.command('list').description('Lists the tokens that yours may see, without secrets.');
  addServerOptions(list.option(...JSON_OPTION)).action((flags: Output) =>
    withServer(flags, async (db) => {
      const tokens: Token[] = [];
      let after: string | undefined;
      do {
        const answer = await db.request('tokens', { query: { after } });
        const page = (await answer.json()) as { items: Token[]; next: string | null };
        tokens.push(...page.items);
        after = page.next ?? undefined;
      } while (after !== undefined);
      await printRows(tokens, COLUMNS, flags.json);
    }),
  );
}

/** Sends what makes a secret, and writes that out. */
function change(flags: Output, path: string, body: object): Promise<void> {
  return withServer(flags, async (db) => {
    const headers = { 'Content-Type': 'application/json' };
    const answer = await db.request(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const made = (await answer.json()) as Token;
    if (made.token === undefined) throw new CommandError('The server gave no token.', EXIT.failed);
    if (flags.json) return printOne(made, true);
    await printToken(made.token);
  });
}
