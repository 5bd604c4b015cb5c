import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { Pigeonhole, PigeonholeError, type ClientOptions } from '../client/pigeonhole.js';
import { CommandError, EXIT, systemSentence } from './exit.js';
import { httpFetch } from './http-fetch.js';
import type { Profile } from './profiles.js';

const DEFAULT_URL = 'http://127.0.0.1:4000';

/** What every command that asks a server takes. */
export interface ServerOptions {
  readonly url?: string;
  readonly profile?: string;
}

/** Adds the options that say which server is asked. */
export function addServerOptions(command: Command): Command {
  return command
    .option('--url <url>', `the server (default: PIGEONHOLE_URL, or ${DEFAULT_URL})`)
    .option('--profile <name>', 'a server that `pigeonhole profile add` keeps (default: PIGEONHOLE_PROFILE)')
    .addHelpText('after', TOKEN_HELP);
}

const TOKEN_HELP = `
The token comes from PIGEONHOLE_TOKEN, from the file that PIGEONHOLE_TOKEN_FILE names, or from the
profile.`;

/** Runs `work` with a client of the server that the options name; what fails becomes a line and an exit code. */
export async function withServer(
  options: ServerOptions,
  work: (db: Pigeonhole) => Promise<void>,
  more: ClientOptions = {},
): Promise<void> {
  let url: string | undefined;
  try {
    const db = await connect(options, more);
    ({ url } = db);
    await work(db);
  } catch (error) {
    const [code, line] = failureOf(error, url);
    console.error(`pigeonhole: ${line}`);
    process.exitCode = code;
  }
}

/** Makes the client of the server that the options name. A profile has its own token, and no other server is sent it. */
export async function connect(options: ServerOptions, more: ClientOptions = {}): Promise<Pigeonhole> {
  const { env } = process;
  const name = options.profile ?? (options.url === undefined ? env['PIGEONHOLE_PROFILE'] : undefined);
  if (options.url !== undefined && options.profile !== undefined)
    throw new CommandError('--url and --profile name a server each: give one of them.', EXIT.usage);
  const { url, token } = name
    ? await profileOf(name)
    : { url: options.url ?? (env['PIGEONHOLE_URL'] || DEFAULT_URL), token: await tokenOfEnvironment() };
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new CommandError(
      `The server must be an http:// or https:// URL, not ${JSON.stringify(url)}.`,
      EXIT.usage,
    );
  const { username, password } = new URL(url);
  if (username || password)
    throw new CommandError('A token does not belong into the URL: put it into PIGEONHOLE_TOKEN.', EXIT.usage);
  return new Pigeonhole(url, { token, fetch: httpFetch, ...more });
}

async function profileOf(name: string): Promise<Profile> {
  const { profileNamed } = await import('./profiles.js');
  return profileNamed(name);
}

async function tokenOfEnvironment(): Promise<string | undefined> {
  const { PIGEONHOLE_TOKEN: token, PIGEONHOLE_TOKEN_FILE: file } = process.env;
  if (token || !file) return token;
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new CommandError(`PIGEONHOLE_TOKEN_FILE: ${systemSentence((error as Error).message)}`);
  }
}

/** Returns the exit code and the line of a failure. */
function failureOf(error: unknown, url: string | undefined): [number, string] {
  if (error instanceof CommandError) return [error.exitCode, error.message];
  if (error instanceof PigeonholeError)
    return [exitCodeOf(error), `${sentenceOf(error)} ${adviceOn(error)}[${url}]`];
  const { code, message } = error as NodeJS.ErrnoException;
  // Whoever read the output has read enough.
  if (code === 'EPIPE') process.exit(EXIT.done);
  if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
  return [EXIT.failed, systemSentence(message)];
}

function sentenceOf({ detail, problem }: PigeonholeError): string {
  const { index } = problem;
  const where = index === undefined ? '' : `Operation ${Number(index) + 1}: `;
  // What else a URL takes is nothing to type here.
  const line =
    where +
    detail
      .replace(/(?<= is empty\.) It takes .*/, '')
      .replaceAll(/\s+/g, ' ')
      .trim();
  return /[.!?]$/.test(line) ? line : `${line}.`;
}

/** Has the error of a call say `argument`, which the user gave, for the parameter that the server names. */
export async function naming<T>(argument: string, parameter: string, call: Promise<T>): Promise<T> {
  return call.catch((error: unknown) => {
    if (!(error instanceof PigeonholeError)) throw error;
    const { code, status, detail, problem } = error;
    throw new PigeonholeError(code, status, detail.replace(`\`${parameter}\``, argument), problem);
  });
}

/** What the server says of arguments, as others are refused before it is asked. */
const WRONG_ARGUMENTS = new Set([
  'invalid-parameter',
  'invalid-key',
  'invalid-type',
  'invalid-condition',
  'invalid-idempotency-key',
]);

/** The exit code of what a server answered, or did not. */
export function exitCodeOf({ code, status }: PigeonholeError): number {
  if (WRONG_ARGUMENTS.has(code)) return EXIT.usage;
  if (code === 'outcome-unknown') return EXIT.unknown;
  if (code === 'no-connection') return EXIT.noConnection;
  const known: Record<number, number> = {
    401: EXIT.notAllowed,
    403: EXIT.notAllowed,
    404: EXIT.notFound,
    410: EXIT.notFound,
    412: EXIT.conditionFailed,
    428: EXIT.conditionFailed,
    504: EXIT.unknown,
  };
  return known[status] ?? EXIT.failed;
}

function adviceOn({ code, status }: PigeonholeError): string {
  if (code === 'no-connection')
    return 'Is the server running? `pigeonhole` starts one; --url or PIGEONHOLE_URL names another. ';
  if (status === 401) return 'Put a token into PIGEONHOLE_TOKEN or PIGEONHOLE_TOKEN_FILE, or use a profile. ';
  if (status === 403) return 'Use a token with that right: `pigeonhole token create`. ';
  if (status === 412) return 'Read the entry again, and repeat it with its tag. ';
  if (status === 503) return 'Try it again. ';
  return '';
}
