import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Whether a process may mount file systems that only it and its children see. */
export function canMount(): boolean {
  return spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0;
}

/** Compiles failing-disk.c into `folder`; undefined where there is no compiler. */
export function compileFailingDisk(folder: string): string | undefined {
  const library = join(folder, 'failing-disk.so');
  const source = join(import.meta.dirname, 'failing-disk.c');
  const compiled = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], {
    stdio: 'ignore',
  });
  return compiled.status === 0 ? library : undefined;
}
