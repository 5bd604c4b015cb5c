import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from '@jest/globals';

/** Where a program is on this machine, or undefined. */
export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * For tests that need a program that is not everywhere: its path, and a `describe` that skips them when it is missing and
 * says so in the title and in a warning. On CI, where the program belongs, its absence is a failure instead.
 */
export function requireProgram(name: string): {
  path: string;
  describe: (title: string, tests: () => void) => void;
} {
  const path = findProgram(name);
  if (path !== undefined) return { path, describe };
  if (process.env['CI'] === 'true') throw new Error(`${name} is not installed, and this suite needs it`);
  return {
    path: name,
    describe: (title, tests) => {
      console.warn(`SKIPPED, because ${name} is not installed: ${title}`);
      describe.skip(`${title} (skipped: ${name} is not installed)`, tests);
    },
  };
}
