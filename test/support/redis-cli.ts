import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from './requires.js';

/** Moving all slots of a node takes the longest, about 10 s. */
const WITHIN_MS = 120_000;

/**
 * Runs redis-cli against a port of this machine: `cli(port, 'GET', 'x')`, or with options of its own before the command.
 * Resolves to what it prints without the last line end, as UTF-8; rejects with the server's words when the command fails.
 */
export async function cli(port: number, ...args: readonly string[]): Promise<string> {
  const program = findProgram('redis-cli') ?? 'valkey-cli';
  try {
    const { stdout } = await promisify(execFile)(program, ['-e', '-p', `${port}`, ...args], {
      timeout: WITHIN_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout.replace(/\n$/, '');
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const said = `${stderr}${stdout.slice(-2000)}`.trim();
    throw new Error(`redis-cli -p ${port} ${args.join(' ')}: ${said}`, { cause: error });
  }
}
