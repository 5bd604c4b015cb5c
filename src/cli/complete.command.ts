import type { Command } from 'commander';
import { connect, type ServerOptions } from './api-client.js';
import { print } from './output.js';
import { readProfiles } from './profiles.js';

const MOST_KEYS = 50;
const PATIENCE_MS = 300;
const OF_ALL = ['--url', '--profile', '--help', '--version'];
const TAKES_KEY = ['get', 'put', 'del', 'ls', 'incr', 'touch', 'info', 'edit', 'history', 'diff', 'undo'];
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Adds the command of that name to a program, and returns it; undefined if there is none. */
export type LoadCommand = (name: string) => Promise<Command | undefined>;

/** `pigeonhole complete -- WORD…`: what the last word may become. It is silent when it fails, in the middle of a line. */
export function addCompleteCommand(program: Command, names: readonly string[], load: LoadCommand): void {
  program
    .command('complete', { hidden: true })
    .argument('<word...>')
    .action(async (words: string[]) => {
      try {
        const found = await candidates(words, names, load);
        await print(
          found
            .filter((each) => !CONTROL.test(each))
            .map((each) => `${each}\n`)
            .join(''),
        );
      } catch {
        process.exitCode = 1;
      }
    });
}

/** Words before the one under the cursor. */
interface Before {
  readonly command: Command | undefined;
  readonly server: ServerOptions;
  /** An option that waits for its value. */
  readonly open: string | undefined;
  /** How many arguments there are. */
  readonly count: number;
  readonly isOver: boolean;
}

async function candidates(
  words: readonly string[],
  names: readonly string[],
  load: LoadCommand,
): Promise<string[]> {
  const before = await read(words.slice(0, -1), load);
  if (!before) return [];
  const { command, open, server, count, isOver } = before;
  const word = words.at(-1)!;
  const [, option, value] = /^(--[a-z-]+)=(.*)$/.exec(word) ?? [];
  const beginning = (all: readonly string[]) => all.filter((each) => each.startsWith(word));
  if (option !== undefined)
    return (await valuesOf(option, value!, before)).map((each) => `${option}=${each}`);
  if (open !== undefined) return valuesOf(open, word, before);
  if (!command) return beginning(word.startsWith('-') ? OF_ALL : names);
  if (word.startsWith('-') && !isOver) return beginning(flagsOf(command));
  if (command.commands.length > 0) return beginning(command.commands.map((each) => each.name()));
  const choices = command.registeredArguments[count]?.argChoices;
  if (choices) return beginning(choices);
  const takesKey = command.name() === 'watch' || (count === 0 && TAKES_KEY.includes(command.name()));
  return takesKey ? keys(word, server) : [];
}

/** Returns undefined if they name no command that there is. */
async function read(words: readonly string[], load: LoadCommand): Promise<Before | undefined> {
  let command: Command | undefined;
  let open: string | undefined;
  let count = 0;
  let isOver = false;
  const given: Record<string, string> = {};
  for (const word of words) {
    const [, name, value] = /^(-[a-z]|--[a-z-]+)(?:=(.*))?$/.exec(word) ?? [];
    if (open !== undefined) {
      given[open] = word;
      open = undefined;
    } else if (isOver || name === undefined) {
      if (word === '--') isOver = true;
      else if (command && command.commands.length === 0) count++;
      else {
        command = command ? command.commands.find((each) => each.name() === word) : await load(word);
        if (!command) return undefined;
      }
    } else if (value !== undefined) given[name] = value;
    else if (takesValue(command, name)) open = name;
  }
  const server = { url: given['--url'], profile: given['--profile'] } as ServerOptions;
  return { command, server, open, count, isOver };
}

function takesValue(command: Command | undefined, name: string): boolean {
  if (name === '--url' || name === '--profile') return true;
  return command?.options.find(({ long, short }) => long === name || short === name)?.required === true;
}

function flagsOf(command: Command): string[] {
  const visible = command.options.filter(({ hidden, long }) => !hidden && long);
  return [...visible.map(({ long }) => long!), '--help'];
}

async function valuesOf(option: string, value: string, { command, server }: Before): Promise<string[]> {
  if (option === '--prefix') return keys(value, server);
  const choices =
    option === '--profile'
      ? Object.keys(readProfiles())
      : command?.options.find(({ long }) => long === option)?.argChoices;
  return choices?.filter((each) => each.startsWith(value)) ?? [];
}

async function keys(prefix: string, server: ServerOptions): Promise<string[]> {
  const db = await connect(server, { retries: 0 });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const { items } = await db.list({ prefix, limit: MOST_KEYS, signal });
  return items.map(({ key }) => key);
}
