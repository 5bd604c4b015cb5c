import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from '@jest/globals';

export type Describe = (title: string, tests: () => void) => void;

/** Where a program is on this machine, or undefined. */
export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * For tests that need a program that is not everywhere: its path, and a `describe` that skips them when it is missing. On
 * CI, where the program belongs, its absence is a failure instead.
 */
export function requireProgram(name: string): { path: string; describe: Describe } {
  const path = findProgram(name);
  return { path: path ?? name, describe: describeWhere(path !== undefined, `${name} is not installed`) };
}

/**
 * `describe`, or one that skips where the machine cannot run the tests. CI must be able to, or else nobody would notice
 * that a rule is no longer tested.
 *
 * @throws Error on CI when it is not `possible`
 */
export function describeWhere(possible: boolean, missing: string): Describe {
  if (possible) return describe;
  if (process.env['CI'] === 'true') throw new Error(`This machine cannot run these tests: ${missing}`);
  return skippedSuite(missing);
}

/** `test`, or one that skips where the machine cannot run it. @throws Error on CI when it is not `possible` */
export function testWhere(possible: boolean, missing: string): ReturnType<typeof skippedTest> {
  if (possible) return test;
  if (process.env['CI'] === 'true') throw new Error(`This machine cannot run these tests: ${missing}`);
  return skippedTest(missing);
}

/** A `describe` that is skipped. */
export function skippedSuite(reason: string): Describe {
  return (title, tests) => describe.skip(withReason(title, reason), tests);
}

/** A `test` that is skipped. */
export function skippedTest(
  reason: string,
): (title: string, run: () => void | Promise<void>, timeout?: number) => void {
  return (title, run) => test.skip(withReason(title, reason), run);
}

/** A title as the reporter reads it, which counts skipped tests by reason (reporter.mjs). */
function withReason(title: string, reason: string): string {
  return `${title} (skipped: ${reason})`;
}
