import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtCli, Cli, runCli, type Ended } from '../../support/cli.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { freshKey, put, stored, valueOf } from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import type { Target } from '../../support/target.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN } from '../../support/tokens.js';
import { describeOn, ENGINES } from '../../support/ways.js';

const HOME = temporaryFolder();

function urlOf({ port }: { port: number }): string {
  return `http://127.0.0.1:${port}`;
}

/** What it printed, of a command that was done. */
function done({ code, stdout, stderr }: Ended): string {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

// Each test starts a dozen processes, so every day takes one engine.
const WAYS = ENGINES.map((way) => ({ ...way, isEveryday: way.name.startsWith('lmdb') }));

describeOn(WAYS)('the commands with $name', ({ start }) => {
  let target: Target;
  let env: Record<string, string>;
  const pigeonhole = (args: string[], input?: string | Buffer) => runCli(args, env, HOME, input);

  beforeAll(async () => {
    target = await start();
    env = { PIGEONHOLE_URL: urlOf(target) };
  });
  afterAll(() => target.close());

  test('put takes text, a file and what is piped in, and get gives exactly the bytes', async () => {
    const key = freshKey();
    const first = JSON.parse(done(await pigeonhole(['put', key, 'värde', '--ttl', '1h']))) as object;
    expect(first).toMatchObject({ key, isNew: true, size: 6, type: 'text/plain; charset=utf-8' });
    expect(done(await pigeonhole(['get', key]))).toBe('värde');
    writeFileSync(join(HOME, 'file'), '{"a":1}\n');
    done(await pigeonhole(['put', key, '@file', '--type', 'application/json']));
    expect((await ask(target.port, `/kv?key=${key}`)).headers['content-type']).toBe('application/json');
    const bytes = Buffer.from([0, 255, 10]);
    expect(JSON.parse(done(await pigeonhole(['put', key], bytes)))).toMatchObject({
      type: 'application/octet-stream',
    });
    expect((await ask(target.port, `/kv?key=${key}`)).bytes).toEqual(bytes);
    done(await pigeonhole(['put', key, '--', '-5']));
    expect(JSON.parse(done(await pigeonhole(['get', '--json', key])))).toMatchObject({ key, value: '-5' });
  });

  test('conditions hold, and codes tell what went wrong', async () => {
    const key = freshKey();
    const { etag } = JSON.parse(done(await pigeonhole(['put', key, '1', '--create']))) as { etag: string };
    expect((await pigeonhole(['put', key, '2', '--create'])).code).toBe(4);
    done(await pigeonhole(['put', key, '2', '--if-match', etag]));
    const refused = await pigeonhole(['put', key, '3', '--if-match', etag]);
    expect(refused).toMatchObject({ code: 4, stdout: '' });
    expect(refused.stderr).toMatch(/^pigeonhole: [^\n]* \[http:[^\n]*\]\n$/);
    expect((await pigeonhole(['get', 'absent'])).code).toBe(3);
    expect((await pigeonhole(['touch', 'absent', '1h'])).code).toBe(3);
    expect((await pigeonhole(['incr', key, '1', '--if-match', etag])).code).toBe(4);
  });

  test('what only the server finds wrong with an argument ends with 64, too, and changes nothing', async () => {
    const key = freshKey();
    for (const args of [
      ['put', key, 'x', '--idempotency-key', ''],
      ['put', '', 'x'],
      ['incr', key, '9223372036854775808'],
      ['token', 'create', '--can', 'everything'],
    ])
      expect({ args, ...(await pigeonhole(args)) }).toMatchObject({ args, code: 64, stdout: '' });
    expect((await pigeonhole(['get', key])).code).toBe(3);
  });

  test('counters, expiry and descriptions', async () => {
    const key = freshKey();
    expect(done(await pigeonhole(['incr', key, '9007199254740993']))).toBe('9007199254740993\n');
    expect(done(await pigeonhole(['incr', key, '--json', '--', '-1']))).toBe('9007199254740992\n');
    const touched = JSON.parse(done(await pigeonhole(['touch', key, '1h']))) as { expires: string };
    expect(JSON.parse(done(await pigeonhole(['info', key])))).toMatchObject({
      key,
      expires: touched.expires,
    });
  });

  test('ls folds at slashes, or lists all, and del --prefix asks or needs --yes', async () => {
    for (const name of ['tree/a', 'tree/b/c', 'tree/b/d']) await put(target.port, name, 'x');
    const rows = async (...args: string[]) =>
      done(await pigeonhole(['ls', ...args]))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
    expect(await rows('tree/')).toMatchObject([{ key: 'tree/a', size: 1 }, { prefix: 'tree/b/' }]);
    expect(await rows('tree/', '-r', '--limit', '2')).toMatchObject([{ key: 'tree/a' }, { key: 'tree/b/c' }]);
    expect((await pigeonhole(['del', '--prefix', 'tree/'])).code).toBe(64);
    const dry = await pigeonhole(['del', '--prefix', 'tree/', '--dry-run']);
    expect(JSON.parse(done(dry))).toEqual({ deleted: 3, dryRun: true });
    expect(JSON.parse(done(await pigeonhole(['del', '--prefix', 'tree/', '--yes'])))).toMatchObject({
      deleted: 3,
    });
    expect(done(await pigeonhole(['del', 'tree/a']))).toBe('');
  });

  test('what is exported can be imported', async () => {
    await put(target.port, 'copy/a', Buffer.from([255]));
    await put(target.port, 'copy/b', 'x'.repeat(100_000));
    const lines = done(await pigeonhole(['export', '--prefix', 'copy/']));
    done(await pigeonhole(['export', '--prefix', 'copy/', 'copy.ndjson']));
    expect(readFileSync(join(HOME, 'copy.ndjson'), 'utf8')).toBe(lines);
    expect(existsSync(join(HOME, 'copy.ndjson.part'))).toBe(false);
    const report = { created: 0, updated: 2, errorCount: 0, end: true };
    expect(JSON.parse(done(await pigeonhole(['import', 'copy.ndjson'])))).toMatchObject(report);
    expect(JSON.parse(done(await pigeonhole(['import', '--dry-run'], lines)))).toMatchObject(report);
    const bad = await pigeonhole(['import'], '{"key":""}\n');
    expect({ code: bad.code, stderr: bad.stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^pigeonhole: line 1: /),
    });
    expect((await pigeonhole(['import'], lines.slice(0, -20))).code).toBe(1);
  });

  test('batch takes lines, an array or the body of a request', async () => {
    const key = freshKey();
    const op = { op: 'incr', key };
    for (const text of [JSON.stringify(op), JSON.stringify([op]), JSON.stringify({ ops: [op] })])
      expect(JSON.parse(done(await pigeonhole(['batch'], text)))).toMatchObject({ op: 'incr', key });
    expect(await valueOf(target.port, key)).toBe('3');
    expect((await pigeonhole(['batch', '--pipeline'], `{"op":"get","key":"absent"}`)).code).toBe(1);
    expect((await pigeonhole(['batch'], `{"op":"get"\n`)).code).toBe(64);
    expect(await pigeonhole(['batch'], `${JSON.stringify(op)}\n{"op":"put"}`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^pigeonhole: Operation 2: /),
    });
  });

  test('edit stores what the editor leaves, and keeps it in a file when somebody was faster', async () => {
    const key = freshKey();
    await put(target.port, key, 'old\n');
    env['EDITOR'] = "sed -i 's/old/new/'";
    expect((await pigeonhole(['edit', key])).code).toBe(0);
    expect(await valueOf(target.port, key)).toBe('new\n');
    const other = `${process.execPath} ${builtCli()} put ${key} theirs`;
    env['EDITOR'] = `sh -c '${other} && echo mine > "$1"' sh`;
    const { code, stdout, stderr } = await pigeonhole(['edit', key]);
    expect({ code, stdout }).toMatchObject({ code: 4, stdout: expect.stringMatching(/\n-theirs\n/) });
    const file = /Your text is in (\S+)\./.exec(stderr)![1]!;
    expect(readFileSync(file, 'utf8')).toBe('mine\n');
  });

  test('lock runs a command, passes the fence, and ends as it did', async () => {
    const command = ['--', 'sh', '-c', 'echo "$PIGEONHOLE_FENCE"; exit 7'];
    const { code, stdout } = await pigeonhole(['lock', 'one', ...command]);
    expect({ code, stdout }).toEqual({
      code: 7,
      stdout: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]+\n$/),
    });
    expect(await valueOf(target.port, 'lock/one')).toBeUndefined();
    expect((await pigeonhole(['lock', 'one', '--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(128 + 15);
    expect((await pigeonhole(['lock', 'one', '--', 'no-such-program'])).code).toBe(1);
    await put(target.port, 'lock/one', 'somebody else');
    const taken = await pigeonhole(['lock', '--no-wait', 'one', '--', 'true']);
    expect(taken).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/^pigeonhole: .* holds the lock\./),
    });
  });
});

describe('a server that is not there, or refuses', () => {
  test('is told in a line with the URL, and with codes of its own', async () => {
    const gone = await runCli(['get', 'a', '--url', 'http://127.0.0.1:1/']);
    expect(gone).toMatchObject({ code: 2, stdout: '' });
    expect(gone.stderr).toMatch(/^pigeonhole: [^\n]*http:\/\/127\.0\.0\.1:1\/[^\n]*--url[^\n]*\n$/);
    expect((await runCli(['health', '--url', 'http://127.0.0.1:1/'])).code).toBe(1);
  });

  test('nor is a file that cannot be used asked of it', async () => {
    for (const args of [
      ['put', 'a', '@none'],
      ['import', 'none'],
      ['export', 'none/none'],
      ['backup', 'status', 'none'],
    ])
      expect(await runCli(args, { PIGEONHOLE_URL: 'http://127.0.0.1:1/' })).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^pigeonhole: none(\/none\.part)? cannot be used: no such file or directory\.\n$/,
        ),
      });
  });
});

describe('with tokens', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ADMIN_TOKEN: ADMIN });
  });
  afterAll(() => server.end());

  test('a token comes from the environment, a file or a profile, which only its owner may read', async () => {
    const env = { PIGEONHOLE_URL: urlOf(server), XDG_CONFIG_HOME: temporaryFolder() };
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'token'), `${ADMIN}\n`);
    expect((await runCli(['put', 'a', '1'], env)).code).toBe(5);
    done(await runCli(['put', 'a', '1'], { ...env, PIGEONHOLE_TOKEN: ADMIN }));
    done(await runCli(['get', 'a'], { ...env, PIGEONHOLE_TOKEN_FILE: join(folder, 'token') }));
    const { XDG_CONFIG_HOME } = env;
    done(await runCli(['profile', 'add', 'prod', urlOf(server)], { XDG_CONFIG_HOME }, folder, ADMIN));
    const file = join(XDG_CONFIG_HOME, 'pigeonhole', 'profiles.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(done(await runCli(['--profile', 'prod', 'get', 'a'], { XDG_CONFIG_HOME }))).toBe('1');
    const listed = done(await runCli(['profile', 'list'], { XDG_CONFIG_HOME }));
    expect(JSON.parse(listed)).toEqual({ name: 'prod', url: urlOf(server), token: 'yes' });
    chmodSync(file, 0o644);
    expect((await runCli(['get', 'a', '--profile', 'prod'], { XDG_CONFIG_HOME })).stderr).toContain(
      'chmod 600',
    );
  });

  test('tokens are made, shown, listed, rotated and ended', async () => {
    const env = { PIGEONHOLE_URL: urlOf(server), PIGEONHOLE_TOKEN: ADMIN };
    const made = done(await runCli(['token', 'create', '--can', 'read', '--namespace', 'x/'], env)).trim();
    const own = { ...env, PIGEONHOLE_TOKEN: made };
    const shown = JSON.parse(done(await runCli(['token', 'show'], own))) as { id: string };
    expect(shown).toMatchObject({ can: ['read'] });
    expect((await runCli(['put', 'a', '1'], own)).code).toBe(5);
    expect(done(await runCli(['token', 'list'], env))).toContain(shown.id);
    const rotated = done(await runCli(['token', 'rotate', shown.id], env)).trim();
    expect(rotated).not.toBe(made);
    done(await runCli(['token', 'revoke', shown.id], env));
    expect((await runCli(['ls'], { ...env, PIGEONHOLE_TOKEN: rotated })).code).toBe(5);
  });
});

describe('watch', () => {
  test('with --exec and --state hears of every change over restarts of both sides, and once', async () => {
    const folder = temporaryFolder();
    const settings = { DATABASE_URL: `lmdb:${join(folder, 'data')}`, PORT: '0' };
    let server = await startServer(settings);
    const port = String(server.port);
    const heard = join(folder, 'heard');
    const told = () => (existsSync(heard) ? readFileSync(heard, 'utf8') : '').trim().split('\n');
    const values = () =>
      told().flatMap((line) => (line ? [(JSON.parse(line) as { value?: string }).value] : []));
    const args = ['watch', '--prefix', 'job/', '--exec', `cat >> ${heard}`, '--state', 'state'];
    const watch = () => new Cli(args, { PIGEONHOLE_URL: `http://127.0.0.1:${port}` }, folder);
    let cli = watch();
    await stored(server.port, 'job/1', '1');
    await eventually(() => values().includes('1') && existsSync(join(folder, 'state')));
    await server.end();
    server = await startServer({ ...settings, PORT: port });
    const tag = await stored(server.port, 'job/2', '2');
    await eventually(() => tag === `"${readFileSync(join(folder, 'state'), 'utf8').trim()}"`);
    cli.signal('SIGKILL');
    await cli.ended;
    for (const value of ['3', '4']) await stored(server.port, 'job/1', value);
    cli = watch();
    await eventually(() => values().includes('4'));
    expect(values()).toEqual(['1', '2', '3', '4']);
    cli.signal('SIGINT');
    expect((await cli.ended).signal).toBe('SIGINT');
    await server.end();
  });

  test('ends with 1 when the command fails, and tells that event again', async () => {
    const server = await startServer({ DATABASE_URL: 'memory:' });
    await stored(server.port, 'a', 'x');
    const env = { PIGEONHOLE_URL: urlOf(server) };
    const { code, stderr } = await runCli(['watch', 'a', '--exec', 'exit 3', '--state', 'state'], env);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('ended with 3') });
    await server.end();
  });

  test('tells all anew that a reset had begun to tell, also with --since now', async () => {
    const server = await startServer({ DATABASE_URL: 'memory:' });
    await stored(server.port, 'a', 'x');
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'state'), '\n');
    const run = ['--exec', 'echo "$PIGEONHOLE_KIND $PIGEONHOLE_KEY"; exit 1'];
    const args = ['watch', '--prefix', '', '--since', 'now', '--state', 'state', ...run];
    const { code, stdout } = await runCli(args, { PIGEONHOLE_URL: urlOf(server) }, folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'put a\n' });
    await server.end();
  });
});
