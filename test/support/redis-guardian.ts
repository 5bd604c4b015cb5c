import { spawn } from 'node:child_process';

const SCRIPT = `
  while read -r line; do pid=$line; done
  [ -n "$pid" ] && kill -9 "-$pid"
  rm -rf "$1"
`;

/**
 * A shell that waits for the end of this process, however it ends: then it kills the process group it was told of last and
 * removes the folder. Being detached, it outlives a Ctrl-C.
 */
export class Guardian {
  private readonly shell;

  constructor(folder: string) {
    this.shell = spawn('sh', ['-c', SCRIPT, 'sh', folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.shell.stdin.on('error', () => undefined);
  }

  /** What is to be killed from now on: a process group, or nothing. */
  watch(group: number | undefined): void {
    this.shell.stdin.write(`${group ?? ''}\n`);
  }

  dismiss(): void {
    this.shell.kill('SIGKILL');
  }
}
