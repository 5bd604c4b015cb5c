import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HANG_MS } from './eventually.js';

const ROOT = join(import.meta.dirname, '..', '..');

/** How a child process ended, and what it said. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface ChildOptions {
  readonly env?: Record<string, string>;
  /** A command that is to run node, such as `unshare -m`. */
  readonly under?: readonly string[];
}

/**
 * Runs `script`, the text of a module, in a node process of its own on the built sources, for what may kill the
 * process. It finds the class LmdbEngine, `say(value)` for its answers, and `import_(path)` to load a module of the
 * build; an unhandled rejection ends it with status 70.
 */
export function runOnBuild(script: string, options: ChildOptions = {}): Promise<Ended> {
  const dist = join(ROOT, 'dist');
  if (!existsSync(join(dist, 'storage'))) throw new Error('The build is missing: run `npm run build` first.');
  const prelude = `
    const import_ = (path) => import(${JSON.stringify(`${pathToFileURL(dist).href}/`)} + path);
    const { LmdbEngine } = await import_('storage/lmdb/engine.js');
    process.on('unhandledRejection', (reason) => { console.log('unhandled: ' + reason); process.exit(70); });
    const say = (value) => console.log(JSON.stringify(value));
  `;
  const command = [...(options.under ?? []), process.execPath, '--input-type=module', '-e', prelude + script];
  return run(command, options.env);
}

/** Runs a command to its end, or kills it when it hangs. */
export function run(
  command: readonly string[],
  env: Record<string, string> = {},
  cwd = ROOT,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: HANG_MS,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** The values that a child said, one a line. */
export function saidBy({ stdout }: Ended): unknown[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}
