import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const DOCS = join(process.cwd(), 'docs');

describe('the page on growth', () => {
  test('shows what its script computes', async () => {
    const { table } = (await import(pathToFileURL(join(DOCS, 'growth.mjs')).href)) as { table: () => string };
    expect(readFileSync(join(DOCS, 'growth.md'), 'utf8')).toContain(table());
  });
});

describe('the tables of the README and of the page on performance', () => {
  test('show what the benchmark measured last', async () => {
    const at = (name: string) => pathToFileURL(join(process.cwd(), 'test/bench', name)).href;
    const { shown, marked } = (await import(at('pages.mjs'))) as {
      shown: (results: unknown) => Record<string, Record<string, string>>;
      marked: (mark: string, block: string) => string;
    };
    const results: unknown = JSON.parse(readFileSync(new URL(at('results.json')), 'utf8'));
    for (const [page, blocks] of Object.entries(shown(results))) {
      const text = readFileSync(page, 'utf8');
      for (const [mark, block] of Object.entries(blocks)) expect(text).toContain(marked(mark, block));
    }
  });
});
