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
