import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HANG_MS } from './eventually.js';
import { findProgram } from './requires.js';

/**
 * Runs redis-cli against a port of this machine: `cli(port, 'GET', 'x')`; options of redis-cli may precede the command.
 * Returns what it prints, without the last line end. @throws with the server's message if the command fails
 */
export async function cli(port: number, ...args: readonly string[]): Promise<string> {
  const program = findProgram('redis-cli') ?? 'valkey-cli';
  try {
    const { stdout } = await promisify(execFile)(program, ['-e', '-p', `${port}`, ...args], {
      timeout: HANG_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout.replace(/\n$/, '');
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const message = `${stderr}${stdout.slice(-2000)}`.trim();
    throw new Error(`redis-cli -p ${port} ${args.join(' ')}: ${message}`, { cause: error });
  }
}
