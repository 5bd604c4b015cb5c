import { afterAll } from '@jest/globals';
import { makeTempFolder, removeFolder } from './temp-folder.js';

const made: string[] = [];

afterAll(() => made.splice(0).forEach(removeFolder));

/** A new empty folder that is removed when the test file has run. */
export function temporaryFolder(): string {
  const folder = makeTempFolder();
  made.push(folder);
  return folder;
}
