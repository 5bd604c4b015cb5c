import { it } from '@jest/globals';
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

/**
 * `it`, or a visible skip where the machine cannot run the test. A build server must be able to, or else nobody would
 * notice that a rule is no longer tested.
 */
export function itWhere(possible: boolean, missing: string): typeof it | typeof it.skip {
  if (possible) return it;
  if (process.env['CI'] === 'true') throw new Error(`This machine cannot run these tests: ${missing}.`);
  console.warn(`Skipped, because of this machine: ${missing}.`);
  return it.skip;
}
