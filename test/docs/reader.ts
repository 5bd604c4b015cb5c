import { expect } from '@jest/globals';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { startBrowser } from '../support/browser.js';
import { installCommand } from '../support/cli.js';
import { HANG_MS } from '../support/eventually.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import type { Block, DocPage } from './pages.js';
import { Transcript } from './transcript.js';

const POLL_MS = 20;
/** Of the servers that examples speak to; the first one also as `127.0.0.1:4000`. */
const ADDRESSES = ['localhost:4000', 'localhost:5000'];
const HEARTBEAT = /id: .*\nevent: heartbeat\ndata: \{\}\n\n/g;

/** Something that an example has started. */
interface Started {
  /** What it has printed and no block has shown yet. */
  printed: string;
  /** Whether it has ended, so that nothing more can come. */
  isOver: boolean;
  /** Resolves when it ends, which a stream does not by itself. @throws Error if it failed */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Runs the blocks of one page from top to bottom, as a reader would, each address of it a server of its own. */
export class Reader {
  private readonly transcript = new Transcript();
  private readonly folder = temporaryFolder();
  private readonly started: Started[] = [];
  private browser: Browser | undefined;

  private constructor(
    private readonly servers: readonly ServerProcess[],
    private readonly chromiumPath: string,
  ) {
    // The package is installed in the folder, as npm does it.
    const modules = join(this.folder, 'node_modules');
    mkdirSync(modules);
    symlinkSync(process.cwd(), join(modules, 'pigeonhole'));
    installCommand(join(modules, '.bin'));
  }

  /** Starts the servers that `page` speaks to. */
  static async begin({ text }: DocPage, chromiumPath: string): Promise<Reader> {
    const named = ADDRESSES.filter((address) => text.includes(address));
    return new Reader(await Promise.all(named.map(() => startServer())), chromiumPath);
  }

  async end(): Promise<void> {
    this.started.forEach((each) => each.stop());
    await this.browser?.close();
    await Promise.all(this.servers.map((server) => server.end('SIGTERM')));
  }

  /** Runs a block, or waits until what a block of text shows has been printed. */
  async read({ language, text }: Block): Promise<void> {
    switch (language) {
      case 'console':
        for (const [command, shown] of commandsOf(text)) await this.runCommand(command, shown);
        break;
      case 'sh':
        await this.finish(this.run('bash', ['-euo', 'pipefail', '-c', this.local(text)]));
        break;
      case 'python':
        await this.finish(this.run('python3', ['-c', this.local(text)]));
        break;
      case 'js':
        if (text.includes('EventSource')) await this.runInBrowser(text);
        else await this.finish(this.run(process.execPath, ['--input-type=module', '-e', this.local(text)]));
        break;
      case 'text':
        await this.expectNext(this.started.at(-1)!, text.trimEnd());
    }
  }

  /** A stream goes on, and later blocks show what follows in it; every other command ends and has printed what is shown. */
  private async runCommand(command: string, shown: string): Promise<void> {
    const started = this.run('bash', ['-o', 'pipefail', '-c', this.local(this.transcript.command(command))]);
    if (/^(?:curl -N|pigeonhole watch)/.test(command)) return this.expectNext(started, shown);
    await this.finish(started);
    this.started.pop();
    const printed = started.printed.trimEnd();
    if (!this.transcript.isWhole(shown, printed)) expect(printed).toBe(shown);
  }

  private run(program: string, args: readonly string[]): Started {
    const PATH = `${join(this.folder, 'node_modules', '.bin')}:${process.env['PATH']}`;
    const env = { ...process.env, PATH, PIGEONHOLE_URL: this.local('http://127.0.0.1:4000') };
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
    const child = spawn(program, args, { cwd: this.folder, env, stdio, detached: true });
    const stop = () => endGroup(child);
    const started: Started = { printed: '', isOver: false, ended: endOf(child), stop };
    started.ended.catch(() => undefined);
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      started.printed = (started.printed + text).replaceAll('\r\n', '\n').replaceAll(HEARTBEAT, '');
    });
    this.started.push(started);
    return started;
  }

  private async finish(started: Started): Promise<void> {
    const timer = setTimeout(() => started.stop(), HANG_MS);
    await started.ended.finally(() => clearTimeout(timer));
    started.isOver = true;
  }

  private async runInBrowser(code: string): Promise<void> {
    this.browser ??= await startBrowser(this.chromiumPath);
    const page = await this.browser.newPage();
    await page.goto(`http://127.0.0.1:${this.servers[0]!.port}/docs`, { waitUntil: 'commit' });
    const started: Started = { printed: '', isOver: false, ended: Promise.resolve(), stop: () => undefined };
    page.on('console', (message) => (started.printed += `${message.text()}\n`));
    this.started.push(started);
    await page.evaluate(code);
  }

  /** Waits until what is shown is what `started` prints next; if it is over, it is all that it has printed. */
  private async expectNext(started: Started, shown: string): Promise<void> {
    const deadline = Date.now() + HANG_MS;
    for (;;) {
      const rest = this.transcript.rest(shown, started.printed.trimStart());
      if (rest !== undefined && (!started.isOver || rest.trim() === '')) {
        started.printed = rest;
        return;
      }
      if (started.isOver || Date.now() > deadline) expect(started.printed).toBe(shown);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Text of a page with the addresses of this page's servers. */
  private local(text: string): string {
    return this.servers.reduce(
      (local, { port }, index) => local.replaceAll(ADDRESSES[index]!, `127.0.0.1:${port}`),
      text.replaceAll('127.0.0.1:4000', ADDRESSES[0]!),
    );
  }
}

/** Ends a command with all that it has started. */
function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`It ended with ${code ?? signal}: ${complaint}`));
    });
  });
}

/** The commands of a console block, each with the output shown after it. A backslash goes on in the next line. */
function commandsOf(text: string): [string, string][] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [, command, shown] = /^((?:.*\\\n)*.*)\n?([^]*)$/.exec(part)!;
      return [command!, shown!.trimEnd()];
    });
}
