import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../../../src/version.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const ROOT = process.cwd();
const inFolder = (folder: string, name: string): { version: string; packages?: Record<string, object> } =>
  JSON.parse(readFileSync(join(folder, name), 'utf8'));

const AUTHOR = {
  GIT_AUTHOR_NAME: 'test',
  GIT_AUTHOR_EMAIL: 'test@localhost',
  GIT_COMMITTER_NAME: 'test',
  GIT_COMMITTER_EMAIL: 'test@localhost',
};
const TODAY = () => new Date().toISOString().slice(0, 10);

/** What the changelog in a folder says, by the headings of its versions. */
function sectionsOf(folder: string): Record<string, string> {
  const [, ...sections] = readFileSync(join(folder, 'CHANGELOG.md'), 'utf8').split(/^## /m);
  return Object.fromEntries(
    sections.map((text) => {
      const end = text.indexOf('\n');
      return [text.slice(0, end), text.slice(end).trim()];
    }),
  );
}

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

test('npm version changes the two files that have it and the changelog, and commits and tags all of it', () => {
  const folder = temporaryFolder();
  const files = ['package.json', 'package-lock.json', 'CHANGELOG.md', '.ci/changelog.mjs'];
  for (const name of files) cpSync(join(ROOT, name), join(folder, name));
  const changelog = join(folder, 'CHANGELOG.md');
  writeFileSync(changelog, readFileSync(changelog, 'utf8').replace(/^## .*$/m, '$&\n\n- News of this test.'));
  const runs = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...AUTHOR } }).trim();
  runs('git', 'init', '--quiet');
  runs('git', 'add', '.');
  runs('git', 'commit', '--quiet', '--message', 'before');
  const unreleased = sectionsOf(folder)['[Unreleased]']!;
  expect(unreleased).toContain('News');

  const next = runs('npm', 'version', 'minor', '--offline').split('\n').at(-1)!.slice(1);
  expect(next).not.toBe(VERSION);
  for (const name of ['package.json', 'package-lock.json']) expect(inFolder(folder, name).version).toBe(next);
  expect(inFolder(folder, 'package-lock.json').packages?.['']).toMatchObject({ version: next });
  const sections = sectionsOf(folder);
  expect(sections).toMatchObject({ '[Unreleased]': '', [`[${next}] - ${TODAY()}`]: unreleased });
  expect(runs('git', 'status', '--porcelain')).toBe('');
  expect(runs('git', 'describe', '--exact-match')).toBe(`v${next}`);
  // Nothing is unreleased now.
  expect(() => runs('npm', 'version', 'patch', '--offline')).toThrow(/nothing yet/);
});

test('the changelog has a section of what is unreleased first, then versions, the newest first', () => {
  const names = Object.keys(sectionsOf(ROOT));
  expect(names[0]).toBe('[Unreleased]');
  for (const name of names.slice(1)) expect(name).toMatch(/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/);
});
