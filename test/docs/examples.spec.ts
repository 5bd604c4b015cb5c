import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { chromium, type Browser } from 'playwright-core';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { blocksOf, PAGES, type Block, type DocPage } from './pages.js';
import { Transcript } from './transcript.js';

const HANG_MS = 30_000;
const POLL_MS = 20;
const RUN = ['sh', 'console', 'js', 'python'];
const HEARTBEAT = /id: .*\nevent: heartbeat\ndata: \{\}\n\n/g;

const programs = ['bash', 'curl', 'python3', 'chromium'].map(requireProgram);
const browserPath = programs.at(-1)!.path;
const describeWithPrograms = programs.find(({ describe: own }) => own !== describe)?.describe ?? describe;

/** Something that an example has started, and what it has printed. */
interface Started {
  printed: string;
  /** Resolves when it ends, which a stream does not by itself. @throws Error if it failed */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Runs the blocks of one page from top to bottom, as a reader would: `localhost:4000` is a server, `localhost:5000` another. */
class Reader {
  private readonly transcript = new Transcript();
  private readonly folder = temporaryFolder();
  private readonly started: Started[] = [];
  private browser: Browser | undefined;

  private constructor(private readonly servers: readonly [ServerProcess, ServerProcess]) {}

  static async begin(): Promise<Reader> {
    return new Reader(await Promise.all([startServer(), startServer()]));
  }

  async end(): Promise<void> {
    this.started.forEach((each) => each.stop());
    await this.browser?.close();
    await Promise.all(this.servers.map((server) => server.end('SIGTERM')));
  }

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
    if (command.startsWith('curl -N')) return this.expectNext(started, shown);
    await this.finish(started);
    this.started.pop();
    const printed = started.printed.trimEnd();
    if (!this.transcript.isWhole(shown, printed)) expect(printed).toBe(shown);
  }

  private run(program: string, args: readonly string[]): Started {
    const child = spawn(program, args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const started: Started = { printed: '', ended: endOf(child), stop: () => child.kill('SIGKILL') };
    started.ended.catch(() => undefined);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      started.printed = (started.printed + text).replaceAll('\r\n', '\n').replaceAll(HEARTBEAT, '');
    });
    this.started.push(started);
    return started;
  }

  private async finish(started: Started): Promise<void> {
    const timer = setTimeout(() => started.stop(), HANG_MS);
    await started.ended.finally(() => clearTimeout(timer));
  }

  private async runInBrowser(code: string): Promise<void> {
    this.browser ??= await chromium.launch({
      executablePath: browserPath,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    const page = await this.browser.newPage();
    await page.goto(`http://127.0.0.1:${this.servers[0].port}/docs`);
    const started: Started = { printed: '', ended: Promise.resolve(), stop: () => undefined };
    page.on('console', (message) => (started.printed += `${message.text()}\n`));
    this.started.push(started);
    await page.evaluate(code);
  }

  /** Waits until what is shown is what `started` prints next. */
  private async expectNext(started: Started, shown: string): Promise<void> {
    const deadline = Date.now() + HANG_MS;
    for (;;) {
      const rest = this.transcript.rest(shown, started.printed.trimStart());
      if (rest !== undefined) {
        started.printed = rest;
        return;
      }
      if (Date.now() > deadline) expect(started.printed).toBe(shown);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Text of a page with the addresses of this page's servers. */
  private local(text: string): string {
    const [first, second] = this.servers;
    return text
      .replaceAll(/(?:localhost|127\.0\.0\.1):4000/g, `127.0.0.1:${first.port}`)
      .replaceAll('localhost:5000', `127.0.0.1:${second.port}`);
  }
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

/** The blocks of a page that are run; `text` after one of them is what it prints. */
function runnable(page: DocPage): Block[] {
  let isRunning = false;
  return blocksOf(page).filter(({ language, notRun }) => {
    isRunning = notRun === undefined && (language === 'text' ? isRunning : RUN.includes(language));
    return isRunning;
  });
}

function exampleRuns(page: DocPage, blocks: readonly Block[]): void {
  let reader: Reader;
  beforeAll(async () => {
    reader = await Reader.begin();
  });
  afterAll(() => reader.end());
  test.each(blocks.map((block) => [`${page.path}:${block.line}`, block.language, block] as const))(
    'at %s, %s',
    (_place, _language, block) => reader.read(block),
  );
}

describeWithPrograms('the examples do what is shown:', () => {
  for (const page of PAGES) {
    const blocks = runnable(page);
    if (blocks.length > 0) describe(page.path, () => exampleRuns(page, blocks));
  }
});

describe('every block', () => {
  test.each(PAGES.map((page) => [page.path, page] as const))(
    'is closed, and has a language: %s',
    (_path, page) => {
      const fences = page.text.split('\n').filter((line) => line.startsWith('```'));
      expect(fences).toHaveLength(blocksOf(page).length * 2);
      expect(blocksOf(page).filter(({ language }) => language === '')).toEqual([]);
    },
  );
});
