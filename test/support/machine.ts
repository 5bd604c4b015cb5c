import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Whether a process may mount file systems that only it and its children see. */
export function canMount(): boolean {
  return spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0;
}

/** Compiles a library that is preloaded into a server, of this folder, into `folder`; undefined where there is no compiler. */
export function compilePreload(
  name: 'failing-disk' | 'recording-disk' | 'server-time',
  folder: string,
): string | undefined {
  const library = join(folder, `${name}.so`);
  const source = join(import.meta.dirname, `${name}.c`);
  const compiled = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], {
    stdio: 'ignore',
  });
  return compiled.status === 0 ? library : undefined;
}
