import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { HANG_MS } from '../support/eventually.js';
import { requireProgram } from '../support/requires.js';
import { blocksOf, PAGES, type Block, type DocPage } from './pages.js';
import { Reader } from './reader.js';

const RUN = ['sh', 'console', 'js', 'python'];
/** It runs the README's first commands in a clean checkout, and names them by their whole line. */
const CI = readFileSync('.ci/run', 'utf8');

const programs = ['bash', 'curl', 'python3', 'chromium'].map(requireProgram);
const describeWithPrograms = programs.find(({ describe: own }) => own !== describe)?.describe ?? describe;

/** The blocks of a page that are run here; `text` after one of them is what it prints. */
function runnable(page: DocPage): Block[] {
  let isRunning = false;
  return blocksOf(page).filter(({ language, text, notRun }) => {
    isRunning = language === 'text' ? isRunning : RUN.includes(language);
    isRunning &&= notRun === undefined && !CI.includes(`'^${text.trim()}$'`);
    return isRunning;
  });
}

function exampleRuns(page: DocPage, blocks: readonly Block[]): void {
  let reader: Reader;
  beforeAll(async () => {
    reader = await Reader.begin(page, programs.at(-1)!.path);
  });
  afterAll(() => reader.end());
  test.each(blocks.map((block) => [`${page.path}:${block.line}`, block.language, block] as const))(
    'at %s, %s',
    (_place, _language, block) => reader.read(block),
    2 * HANG_MS,
  );
}

describeWithPrograms('the examples do what is shown:', () => {
  for (const page of PAGES) {
    const blocks = runnable(page);
    if (blocks.length > 0) describe(page.path, () => exampleRuns(page, blocks));
  }
});

describe('every block', () => {
  test.each(PAGES.map((page) => [page.path, page] as const))(
    'is closed, and has a language: %s',
    (_path, page) => {
      const fences = page.text.split('\n').filter((line) => line.trimStart().startsWith('```'));
      expect(fences).toHaveLength(blocksOf(page).length * 2);
      expect(blocksOf(page).filter(({ language }) => language === '')).toEqual([]);
    },
  );
});
