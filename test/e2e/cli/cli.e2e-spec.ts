import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { SETTINGS } from '../../../src/config/settings.js';
import { builtCli, Cli, runCli } from '../../support/cli.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const LISTENING = /Listening on http:\/\/127\.0\.0\.1:(\d+)/;

async function portOf(cli: Cli): Promise<number> {
  await cli.waitFor(LISTENING);
  return Number(LISTENING.exec(cli.stdout)![1]);
}

async function stop(cli: Cli): Promise<void> {
  cli.signal('SIGTERM');
  expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
}

describe('the server', () => {
  test('starts with `serve`, and flags override the environment', async () => {
    const folder = temporaryFolder();
    const flags = ['--port', '0', `--database-url=lmdb:${folder}`, '--log-level', 'debug'];
    const cli = new Cli(['serve', ...flags], { PORT: '1', DATABASE_URL: 'memory:', MAX_VALUE_BYTES: '3' });
    const port = await portOf(cli);
    expect((await ask(port, setPath('a', 'abc'))).status).toBe(201);
    expect((await ask(port, setPath('a', 'abcd'))).status).toBe(413);
    expect(cli.stdout).toContain(`data in lmdb:${folder}`);
    await cli.waitFor(/GET \/set 201/);
    await stop(cli);
  });

  test.each<{ args: string[]; env: Record<string, string> }>([
    { args: [], env: { PORT: '0', DATABASE_URL: 'memory:' } },
    { args: ['--port', '0', '--database-url', 'memory:'], env: {} },
  ])('starts without `serve`: $args', async ({ args, env }) => {
    const cli = new Cli(args, env);
    const port = await portOf(cli);
    await ask(port, setPath('a', 'abc'));
    expect((await ask(port, getPath('a'))).text).toBe('{"a":"abc"}');
    await stop(cli);
  });

  test('passes the flags on to its workers', async () => {
    const folder = temporaryFolder();
    const cli = new Cli(['serve', '--port', '0', '--database-url', `lmdb:${folder}`, '--workers', '2']);
    const port = await portOf(cli);
    expect((await ask(port, setPath('a', 'abc'))).status).toBe(201);
    await stop(cli);
  });
});

const COMMANDS = (
  'get,put,del,ls,incr,touch,info,edit,watch,lock,export,import,batch,token create,token list,token show,' +
  'token rotate,token revoke,health,stats,profile add,profile list,profile remove,serve,migrate,check,salvage,' +
  'compact,set-clock,completion'
).split(',');

describe('the help', () => {
  test('names the commands, and each setting as a flag with what it does, takes and is by default', async () => {
    const [all, serve, migrate] = await Promise.all(
      [['--help'], ['serve', '--help'], ['migrate', '-h']].map((args) => runCli(args)),
    );
    for (const { code, stderr } of [all!, serve!, migrate!])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(all!.stdout).toMatch(/^ {2}get .*\n(.*\n)* {2}serve .*\n(.*\n)* {2}migrate /m);
    const words = serve!.stdout.replace(/\s+/g, ' ');
    for (const { name, meaning, form, default: value } of Object.values(SETTINGS)) {
      const takes = `Takes ${form}${value === '' ? '' : ` (default: ${value})`}.`;
      expect(words).toContain(`--${name.toLowerCase().replaceAll('_', '-')} <value> ${meaning} ${takes}`);
    }
    expect(migrate!.stdout).toContain('pigeonhole migrate lmdb:./data redis+cluster://');
  });

  test('fits a terminal of 100 columns', async () => {
    const texts = await Promise.all(
      ['', ...COMMANDS].map((name) => runCli([...name.split(' '), '--help'].filter(Boolean))),
    );
    const long = texts.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line.length > 100);
    expect(long).toEqual([]);
  });

  test('prints the version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await runCli(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong arguments end with one line on stderr, and with 64, or 1 for a bad setting:', () => {
  test.each([
    [['serv'], "unknown command 'serv' (Did you mean serve?)"],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['get'], "missing required argument 'key'"],
    [['ls', '--limit', '0'], '--limit takes a whole number from 1 on.'],
    [['get', 'a', '--url', 'localhost:4000'], 'The server must be an http:// or https:// URL'],
    [['get', 'a', '--profile', 'prod'], 'There is no profile "prod"'],
    [['--token', 'x', 'get', 'a'], "unknown option '--token'"],
    [['serve', 'now'], "unknown command 'now'"],
    [['--prot', '4000'], "unknown option '--prot' (Did you mean --port?)"],
    [['serve', '--foo'], "unknown option '--foo'"],
    [['serve', '--port'], "option '--port <value>' argument missing"],
    [['--port', 'http'], 'PORT must be a number from 0 to 65535, not "http".'],
    [['serve', '--database-url', 'mysql://x'], 'DATABASE_URL must be one of lmdb:<folder>'],
    [['migrate'], "missing required argument 'from'"],
    [['migrate', 'lmdb:a'], "missing required argument 'to'"],
    [['migrate', 'lmdb:a', 'lmdb:b', 'lmdb:c'], 'too many arguments'],
    [['migrate', '--fast', 'lmdb:a', 'lmdb:b'], "unknown option '--fast'"],
  ])('%j', async (args, words) => {
    const { code, stdout, stderr } = await runCli(args);
    const isSetting = /^(PORT|DATABASE_URL) must/.test(words);
    expect({ code, stdout }).toEqual({ code: isSetting ? 1 : 64, stdout: '' });
    expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
    expect(stderr).toContain(words);
  });
});

describe('the package', () => {
  // Without the scripts of npm, which would build anew while other tests use the build.
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const [{ files }] = JSON.parse(
    execFileSync('npm', pack, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  ) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);

  test('has the command and the scripts for Redis, and no tests or sources', () => {
    const scripts = readdirSync('src/storage/redis/scripts');
    expect(paths).toEqual(
      expect.arrayContaining([
        'README.md',
        'LICENSE',
        'CHANGELOG.md',
        'package.json',
        'dist/main.js',
        'dist/cli/pigeonhole.js',
        ...scripts.map((name) => `dist/storage/redis/scripts/${name}`),
      ]),
    );
    expect(paths.filter((path) => /^(src|test|data|node_modules)\//.test(path))).toEqual([]);
  });

  test('has a command that the shell can run', () => {
    expect(readFileSync(builtCli(), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
