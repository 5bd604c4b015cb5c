import { afterEach, expect, test } from '@jest/globals';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { ask, setPath } from '../../support/http.js';
import { exchange, lines } from '../../support/raw-http.js';
import { requireProgram } from '../../support/requires.js';
import { builtServer, runToEnd, startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { saidBy, startWorkers, workersOf } from '../../support/workers.js';

const python = requireProgram('python3');
/** Ten of them at once have several times the lines that may wait. */
const BURST = 800;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let other: ChildProcess | undefined;
afterEach(() => void other?.kill('SIGKILL'));

interface Line {
  readonly time: string;
  readonly level: string;
  readonly message: string;
}

const parsed = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

test('elsewhere than on a terminal each line is an object, also those of the supervisor and of workers', async () => {
  const folder = realpathSync(temporaryFolder());
  const server = await startWorkers(2, { DATABASE_URL: `lmdb:${folder}`, LOG_LEVEL: 'debug' });
  const [victim] = workersOf(server);
  process.kill(victim!, 'SIGKILL');
  await eventually(() => saidBy(server).some((line) => line.includes(`${victim}`)), 'a line about it');
  await server.end('SIGTERM');
  const said = parsed(server.output().stdout);
  for (const line of said) {
    expect(line).toMatchObject({
      level: expect.stringMatching(/^(debug|info|warn)$/),
      message: expect.any(String),
    });
    expect(line.time).toMatch(TIME);
  }
  expect(said).toContainEqual(
    expect.objectContaining({
      level: 'info',
      version: expect.any(String),
      url: `http://127.0.0.1:${server.port}`,
      data: `lmdb:${folder}`,
      entries: 0,
      workers: 2,
    }),
  );
  expect(said).toContainEqual(expect.objectContaining({ level: 'warn', worker: victim, reason: 'SIGKILL' }));
  expect(said).toContainEqual(expect.objectContaining({ level: 'info', signal: 'SIGTERM' }));
  expect(server.output().stdout).not.toContain('Mapped');
});

test('as text it begins with what a user wants to know, and nothing of it is JSON', async () => {
  const folder = realpathSync(temporaryFolder());
  const settings = { LOG_FORMAT: 'text', LOG_LEVEL: 'debug', DATABASE_URL: `lmdb:${folder}` };
  const first = await startServer(settings);
  expect((await ask(first.port, setPath('a', '1'), { agent: false })).status).toBe(201);
  await first.end('SIGTERM');
  const server = await startServer(settings);
  const { stdout } = server.output();
  const url = `http://127.0.0.1:${server.port}`;
  for (const part of [
    /Pigeonhole \d/,
    `Listening on ${url}\n`,
    `${url}/docs`,
    `${folder} (1 entry)`,
    'Ctrl-C',
  ])
    expect(stdout).toMatch(part);
  const { status } = await ask(server.port, '/console', { agent: false });
  expect(stdout.includes('/console')).toBe(status === 200);
  await server.end('SIGTERM');
  const after = server.output().stdout.slice(stdout.length).trimEnd().split('\n');
  for (const line of after) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z \S/);
  expect(after.join('\n')).toContain('Stopping on SIGTERM');
  expect(server.output().stdout).not.toMatch(/Mapped|^\{/m);
});

test('a start that fails says so in a line for people, or as JSON where that is asked for', async () => {
  const people = await runToEnd({ PORT: 'http' });
  expect(people).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^pigeonhole: PORT [^\n]+\n$/),
  });
  const { code, stderr } = await runToEnd({ PORT: 'http', LOG_FORMAT: 'json' });
  expect({ code, lines: parsed(stderr) }).toEqual({
    code: 1,
    lines: [
      expect.objectContaining({ level: 'error', message: people.stderr.slice('pigeonhole: '.length, -1) }),
    ],
  });
});

test('comes again when somebody reads again, and says how much was missed', async () => {
  const fifo = join(temporaryFolder(), 'log');
  expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
  const command = `exec ${process.execPath} ${builtServer()} > ${fifo}`;
  const settings = { PORT: '0', DATABASE_URL: 'memory:', ACCESS_LOG: 'true' };
  other = spawn('sh', ['-c', command], {
    env: { PATH: process.env['PATH'] ?? '', ...settings },
    stdio: 'ignore',
  });
  const read = () => {
    const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    reader.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return { text: () => text, end: () => (reader.kill(), once(reader, 'exit')) };
  };
  const first = read();
  await eventually(() => first.text().includes('Listening on'), 'the start');
  const port = Number(/Listening on http:[^"\s]*:(\d+)/.exec(first.text())![1]);
  await first.end();
  for (let i = 0; i < 5; i++) await ask(port, '/get', { agent: false });
  const second = read();
  const isBack = async () => {
    await ask(port, '/set', { agent: false });
    return second.text().includes('"dropped":');
  };
  await eventually(isBack, 'a line that tells of the others');
  await second.end();
});

test('a burst of requests has a line for each in a file', async () => {
  const file = join(temporaryFolder(), 'log');
  const settings = { PORT: '0', DATABASE_URL: 'memory:', ACCESS_LOG: 'true' };
  const env = { PATH: process.env['PATH'] ?? '', ...settings };
  other = spawn(process.execPath, [builtServer()], { env, stdio: ['ignore', openSync(file, 'w'), 'ignore'] });
  const text = () => readFileSync(file, 'utf8');
  await eventually(() => text().includes('Listening on'), 'the start');
  const port = Number(/Listening on http:[^"\s]*:(\d+)/.exec(text())![1]);
  const burst = lines('GET /set HTTP/1.1', 'Host: localhost').repeat(BURST);
  const bursts = Array.from({ length: 10 }, () =>
    exchange(port, burst, { enough: ({ length }) => length === BURST }),
  );
  await Promise.all(bursts);
  await eventually(() => text().split('"path":"/set"').length > 10 * BURST, 'all lines');
  expect(text()).not.toContain('"dropped"');
});

python.describe('on a terminal', () => {
  /** Runs a server on a terminal of which it reads as long as the first line does not say otherwise. */
  const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = b''
while b'Ctrl-C' not in text:
    text += os.read(terminal, 4096)
    sys.stdout.buffer.write(text); sys.stdout.flush()
sys.stdin.read()
`;

  test('it is text, and one that is stopped with Ctrl-S stops nobody else', async () => {
    const settings = { PORT: '0', DATABASE_URL: 'memory:', ACCESS_LOG: 'true' };
    other = spawn(python.path, ['-c', TERMINAL, process.execPath, builtServer()], {
      env: { PATH: process.env['PATH'] ?? '', ...settings },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    other.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await eventually(() => /Listening on http:\S+:\d+/.test(text) && text.includes('Ctrl-C'), 'the banner');
    const port = Number(/Listening on http:\S+:(\d+)/.exec(text)![1]);
    // Many times what a terminal holds.
    for (let i = 0; i < 1_000; i++) expect((await ask(port, '/get?key=a')).status).toBe(400);
    other.stdin!.end();
    await once(other, 'exit');
  });
});
