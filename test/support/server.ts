import { afterAll } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HANG_MS } from './eventually.js';
import { tlsSettings, plainPort } from './over-tls.js';
import { temporaryFolder } from './temporary-folder.js';

const ROOT = process.cwd();

/** Servers that run: what a failed test leaves behind would keep jest from ending. */
const running = new Set<ChildProcess>();

afterAll(() => running.forEach((child) => child.kill('SIGKILL')));

/** How a process ended: by itself with a code, or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built server as users run it: a process of its own. */
export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  readonly exit: Promise<Exit>;
  /** What it has written so far to stdout and stderr. */
  output(): { stdout: string; stderr: string };
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Exit>;
}

/** The built server's main file; tests that need it fail with a sentence, not with a stack, when it is missing. */
export function builtServer(): string {
  const main = join(ROOT, 'dist', 'main.js');
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`);
  return main;
}

/** Runs the built server, under another command if one is given, with nothing of this process's environment but what Node needs. */
export function spawnServer(
  settings: Record<string, string>,
  // Away from the checkout, so that the default of `./data` never lands in it.
  cwd = temporaryFolder(),
  under: readonly string[] = [],
): ChildProcess {
  const [program, ...args] = [...under, process.execPath, builtServer()];
  const child = spawn(program!, args, {
    env: { PATH: process.env['PATH'] ?? '', ...settings },
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/**
 * Starts the built server on a free loopback port and waits until it listens.
 * @param under a command that is to run node, such as `unshare -m`
 */
export async function startServer(
  settings: Record<string, string> = {},
  cwd?: string,
  under?: readonly string[],
): Promise<ServerProcess> {
  const DATABASE_URL = settings['DATABASE_URL'] ?? `lmdb:${temporaryFolder()}`;
  const child = spawnServer({ PORT: '0', ...tlsSettings(), ...settings, DATABASE_URL }, cwd, under);
  const { exit, output } = watch(child);
  const port = await plainPort(await listening(child, exit, output));
  return {
    pid: child.pid!,
    port,
    exit,
    output,
    end: (signal = 'SIGKILL') => end(child, exit, signal),
  };
}

/** Runs the server until it ends by itself, which is what it does when its settings are bad. */
export async function runToEnd(
  settings: Record<string, string>,
  cwd?: string,
): Promise<Exit & { stdout: string; stderr: string }> {
  const child = spawnServer(settings, cwd);
  const { exit, output } = watch(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  const ended = await exit;
  clearTimeout(timer);
  return { ...ended, ...output() };
}

function watch(child: ChildProcess): { exit: Promise<Exit>; output: ServerProcess['output'] } {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  return { exit, output: () => ({ stdout, stderr }) };
}

async function listening(
  child: ChildProcess,
  exit: Promise<Exit>,
  output: ServerProcess['output'],
): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the server ${why}:\n${JSON.stringify(output())}`));
    void exit.then(({ code, signal }) => fail(`ended with ${code ?? signal} before it listened`));
    timer = setTimeout(() => fail('did not listen in time'), HANG_MS);
  });
  const ready = new Promise<number>((resolve) => {
    child.stdout!.on('data', () => {
      const found = /Listening on https?:\/\/[^\s"]*:(\d+)/.exec(output().stdout);
      if (found) resolve(Number(found[1]));
    });
  });
  try {
    return await Promise.race([ready, failed]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function end(child: ChildProcess, exit: Promise<Exit>, signal: NodeJS.Signals): Promise<Exit> {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  const ended = await exit;
  clearTimeout(timer);
  return ended;
}
