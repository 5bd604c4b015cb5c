import { afterAll } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

afterAll(() => made.forEach(removeFolder));

/** Makes an empty folder, which is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-test-'));
  made.push(folder);
  return folder;
}

/** Removes a folder earlier than that. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
