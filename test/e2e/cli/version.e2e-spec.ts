import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../../../src/version.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const ROOT = process.cwd();
const inFolder = (folder: string, name: string): { version: string; packages?: Record<string, object> } =>
  JSON.parse(readFileSync(join(folder, name), 'utf8'));

/** Everything that says which version it is. */
const TOLD: readonly (readonly [string, () => string])[] = [
  ['package-lock.json', () => inFolder(ROOT, 'package-lock.json').version],
  ['src/version.ts', () => VERSION],
  [
    'pigeonhole --version',
    () =>
      execFileSync(process.execPath, ['dist/cli/pigeonhole.js', '--version'], { encoding: 'utf8' }).trim(),
  ],
  [
    'the OpenAPI document',
    () => JSON.parse(readFileSync('dist/openapi/openapi.json', 'utf8')).info.version as string,
  ],
];

test.each(TOLD)('%s says the version of the package', (_name, told) => {
  expect(told()).toBe(inFolder(ROOT, 'package.json').version);
});

test('npm version changes the two files that have it, and needs nothing else', () => {
  const folder = temporaryFolder();
  const files = ['package.json', 'package-lock.json'];
  for (const name of files) copyFileSync(join(ROOT, name), join(folder, name));
  const options = ['version', 'patch', '--no-git-tag-version', '--ignore-scripts', '--offline'];
  const next = execFileSync('npm', options, { cwd: folder, encoding: 'utf8' }).trim().slice(1);
  expect(next).not.toBe(VERSION);
  for (const name of files) expect(inFolder(folder, name).version).toBe(next);
  expect(inFolder(folder, 'package-lock.json').packages?.['']).toMatchObject({ version: next });
});
