import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from './exit.js';

type Side = readonly [name: string, value: string | Uint8Array];

/** Writes to stdout in which lines two values differ, as `diff -u` does; nothing if they are the same. */
export function showDifference(...sides: readonly [Side, Side]): void {
  const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-diff-'));
  try {
    const args = sides.map(([name, value], index) => {
      const file = join(folder, String(index));
      writeFileSync(file, value, { mode: 0o600 });
      return ['--label', name, file];
    });
    const labels = args.flatMap(([flag, name]) => [flag!, name!]);
    const files = args.map((each) => each[2]!);
    const { error, status } = spawnSync('diff', ['-u', ...labels, ...files], { stdio: 'inherit' });
    if (error)
      throw new CommandError(`The program \`diff\`, which shows it, cannot be run: ${error.message}.`);
    if (status !== null && status > 1) throw new CommandError('`diff` has failed.');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
