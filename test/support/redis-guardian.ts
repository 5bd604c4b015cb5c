import { spawn } from 'node:child_process';

const SCRIPT = `
  while read -r line; do pid=$line; done
  [ -n "$pid" ] && kill -9 "-$pid"
  rm -rf "$1"
`;

/**
 * A shell that waits for the end of this process, however it ends, then kills the last watched process group and removes
 * the folder. It is detached, so it survives a Ctrl-C.
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

  /** Sets the process group to be killed; undefined for none. */
  watch(group: number | undefined): void {
    this.shell.stdin.write(`${group ?? ''}\n`);
  }

  dismiss(): void {
    this.shell.kill('SIGKILL');
  }
}
