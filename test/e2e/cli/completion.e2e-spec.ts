import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installCommand, runCli } from '../../support/cli.js';
import { eventually } from '../../support/eventually.js';
import { stored } from '../../support/kv.js';
import { findProgram, requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Each shell with what its users put into the file that it reads at its start. */
const SHELLS: Record<string, { command: string; file: string; text: string }> = {
  bash: {
    command: 'bash --rcfile rc -i',
    file: 'rc',
    text: `PS1='ready> '; bind 'set enable-bracketed-paste off'; source <(pigeonhole completion bash)`,
  },
  zsh: {
    command: 'zsh -i',
    file: '.zshrc',
    text: `PS1='ready> '; autoload -U compinit; compinit -u; source <(pigeonhole completion zsh)`,
  },
  fish: {
    command: `fish -i -C 'source rc.fish'`,
    file: 'rc.fish',
    text: `pigeonhole completion fish | source; function fish_prompt; echo -n 'ready> '; end; set fish_greeting`,
  },
};
/** What is typed, and what only the whole command prints. */
const TYPED: [string, string, RegExp][] = [
  ['a command', 'pigeonhole wat\t--help', /Usage: pigeonhole watch/],
  ['a command of a command', 'pigeonhole token rot\t--help', /Usage: pigeonhole token rotate/],
  ['a flag', 'pigeonhole get --js\tuser/1', /"value":"of user 1"/],
  ['a key', 'pigeonhole get us\t', /of user 1/],
  ['a key with colons', 'pigeonhole get app:a=b:\t', /of a colon/],
  ['a key with a space', 'pigeonhole get two\t', /of two words/],
  ['a key after a flag', 'pigeonhole info --json us\t', /"size":9/],
  ['the key of a flag', 'pigeonhole del --dry-run --prefix us\t', /1 entry would/],
];

const folder = temporaryFolder();
let server: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startServer({ DATABASE_URL: 'memory:' });
  await stored(server.port, 'user/1', 'of user 1');
  await stored(server.port, 'app:a=b:c', 'of a colon');
  await stored(server.port, 'two words', 'of two words');
  installCommand(folder);
  const PATH = `${folder}:${process.env['PATH']}`;
  env = {
    PATH,
    HOME: folder,
    ZDOTDIR: folder,
    TERM: 'dumb',
    PIGEONHOLE_URL: `http://127.0.0.1:${server.port}`,
  };
});
afterAll(() => server.end());

/** A shell in a pseudo-terminal. */
class Terminal {
  private output = '';
  private readonly child: ChildProcess;

  constructor(shell: string) {
    this.child = spawn('script', ['-qefc', shell, '/dev/null'], {
      cwd: folder,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  /** Waits for what is shown next. */
  async shown(text: RegExp): Promise<string> {
    await eventually(() => text.test(this.output), `${text} in ${JSON.stringify(this.output)}`);
    const { output } = this;
    this.output = '';
    return output;
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  end(): void {
    this.child.stdin!.end();
    this.child.kill('SIGKILL');
  }
}

const script = findProgram('script') === undefined ? requireProgram('script') : undefined;

for (const [shell, { command, file, text }] of Object.entries(SHELLS))
  (script ?? requireProgram(shell)).describe(`in ${shell}, on a terminal, TAB completes`, () => {
    let terminal: Terminal;
    beforeAll(async () => {
      writeFileSync(join(folder, file), `${text}\n`);
      terminal = new Terminal(command);
      await terminal.shown(/ready> /);
    });
    afterAll(() => terminal.end());

    test.each(TYPED)('%s', async (_what, typed, printed) => {
      // A computer that is busy may not find keys in the time they are given: then it is typed again.
      for (let shown = ''; !printed.test(shown);) {
        terminal.type(`${typed}\necho 'is' over\n`);
        shown = await terminal.shown(/is over/);
      }
    });
  });

describe('what the shells ask', () => {
  const complete = async (...words: string[]) =>
    (await runCli(['complete', '--', ...words], env)).stdout.split('\n').slice(0, -1);

  test.each([
    [['serv'], ['serve']],
    [['--pro'], ['--profile']],
    [
      ['backup', ''],
      ['save', 'status', 'verify', 'restore'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['import', '--mode', ''],
      ['upsert', 'create'],
    ],
    [['import', '--mode=cr'], ['--mode=create']],
    [
      ['put', 'a', '--if'],
      ['--if-match', '--if-none-match'],
    ],
    [['watch', 'x', 'user'], ['user/1']],
    [['ls', '--prefix=us'], ['--prefix=user/1']],
    [['put', 'us', ''], []],
    [['get', '--url', ''], []],
    [['lock', 'one', '--', ''], []],
    [['frobnicate', ''], []],
    [['constructor', ''], []],
  ])('%j', async (words, expected) => {
    await expect(complete(...words)).resolves.toEqual(expected);
  });

  test('of the server that the line names, and nothing where there is none', async () => {
    expect(await complete('--url', env['PIGEONHOLE_URL']!, 'get', 'us')).toEqual(['user/1']);
    expect(await runCli(['complete', '--', 'get', '--url=http://127.0.0.1:1', ''], env)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: '',
    });
  });
});
