import { afterEach } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HANG_MS } from './eventually.js';
import type { Exit } from './server.js';
import { temporaryFolder } from './temporary-folder.js';

const POLL_MS = 5;

const running = new Set<ChildProcess>();
afterEach(() => running.forEach((child) => child.kill('SIGKILL')));

/** How a command ended, and what it printed. */
export interface Ended extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export function builtCli(): string {
  const file = join(process.cwd(), 'dist', 'cli', 'pigeonhole.js');
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npm run build\` first`);
  return file;
}

/** Puts `pigeonhole` into a folder for PATH, as npm does it. */
export function installCommand(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const text = `#!/bin/sh\nexec '${process.execPath}' '${builtCli()}' "$@"\n`;
  writeFileSync(join(folder, 'pigeonhole'), text, { mode: 0o755 });
}

/** The built `pigeonhole` as a process of its own, in an environment of PATH and `env` only. */
export class Cli {
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;

  /** @param input what is piped in */
  constructor(
    args: readonly string[],
    env: Record<string, string> = {},
    cwd = temporaryFolder(),
    input?: string | Buffer,
  ) {
    this.child = spawn(process.execPath, [builtCli(), ...args], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      cwd,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.child.stdin?.on('error', () => undefined).end(input);
    running.add(this.child);
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits until it has printed `text` on stdout. */
  async waitFor(text: string | RegExp): Promise<void> {
    let over = false;
    void this.ended.then(() => (over = true));
    const deadline = Date.now() + HANG_MS;
    while (this.stdout.search(text) < 0) {
      if (over || Date.now() > deadline)
        throw new Error(`It did not print ${text}: ${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** Runs a command that ends by itself, or is killed when it hangs. */
export async function runCli(
  args: readonly string[],
  env?: Record<string, string>,
  cwd?: string,
  input?: string | Buffer,
): Promise<Ended> {
  const cli = new Cli(args, env, cwd, input);
  const timer = setTimeout(() => cli.signal('SIGKILL'), HANG_MS);
  const ended = await cli.ended;
  clearTimeout(timer);
  return ended;
}
