import { expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { builtCli } from '../support/cli.js';
import { HANG_MS } from '../support/eventually.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { blocksOf, pageAt, type Block } from './pages.js';

/** Why a page says that its block is not run with the others. */
const RUN_HERE = 'test/docs/commands does';

/** How a block ended, and what it printed. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The commands of one page, run in a folder of its own by a shell that finds the built `pigeonhole`. */
export class PageShell {
  readonly folder = temporaryFolder();
  private readonly blocks: Block[];
  private readonly bin = join(temporaryFolder(), 'bin');

  /** @param ports which port here stands for one of the page */
  constructor(
    path: string,
    private readonly ports: Readonly<Record<number, number>>,
  ) {
    this.blocks = blocksOf(pageAt(path)).filter(({ notRun }) => notRun === RUN_HERE);
    mkdirSync(this.bin);
    const command = join(this.bin, 'pigeonhole');
    writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${builtCli()}" "$@"\n`);
    chmodSync(command, 0o755);
  }

  /** How many blocks nobody has run yet. */
  get left(): number {
    return this.blocks.length;
  }

  /** Runs the next block of the page, which has to contain `text`, to its end. What it has left running is ended. */
  async next(text: string, status = 0): Promise<Run> {
    const block = this.blocks.shift();
    expect(block?.text).toContain(text);
    const ended = await this.run(this.local(block!.text));
    expect({ ...ended, stdout: '' }).toEqual({ ...ended, stdout: '', status });
    return ended;
  }

  private run(script: string): Promise<Run> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: this.folder,
      // A group of its own, so that what it leaves running can be ended.
      detached: true,
      env: {
        PATH: `${this.bin}${delimiter}${process.env['PATH']}`,
        PORT: String(this.ports[4000]),
        PIGEONHOLE_URL: `http://127.0.0.1:${this.ports[4000]}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), HANG_MS);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', () => endGroup(child.pid!));
      child.on('close', (status) => {
        clearTimeout(timer);
        resolve({ status, stdout, stderr });
      });
    });
  }

  private local(text: string): string {
    return text.replaceAll(/(localhost:|PORT=|-p |--port )(\d+)\b/g, (_, before: string, port: string) => {
      const host = before === 'localhost:' ? '127.0.0.1:' : before;
      return `${host}${this.ports[Number(port)] ?? port}`;
    });
  }
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
