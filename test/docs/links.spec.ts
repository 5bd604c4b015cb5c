import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { anchorsOf, linksOf, pageAt, PAGES, type DocPage } from './pages.js';

const MOST_LINES = 220;

/** What `npm pack` puts into the file, without building it anew. */
const [{ files }] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }),
) as [{ files: { path: string }[] }];
const packed = new Set(files.map(({ path }) => path));

const pages = PAGES.map((page) => [page.path, page] as const);

/** Whether a relative link leads to a file of the package, and to a heading of it if it names one. */
function leadsSomewhere(page: DocPage, link: string): boolean {
  const [file, anchor] = link.split('#') as [string, string?];
  const target = file === '' ? page.path : posix.join(posix.dirname(page.path), file);
  return packed.has(target) && (anchor === undefined || anchorsOf(pageAt(target)).includes(anchor));
}

describe('in the package', () => {
  test.each(pages)('is %s', (path) => {
    expect(packed).toContain(path);
  });

  test('the documentation is pages and pictures, and what is needed to run it, and nothing else', () => {
    const docs = [...packed].filter(
      (path) => path.startsWith('docs/') && !path.startsWith('docs/operations/'),
    );
    expect(docs.filter((path) => !/\.(md|svg|png)$/.test(path))).toEqual([]);
    for (const file of ['pigeonhole.service', 'Dockerfile', 'compose.yaml'])
      expect(packed).toContain(`docs/operations/${file}`);
  });

  test.each(pages)('every link of %s leads somewhere', (_path, page) => {
    const relative = linksOf(page).filter((link) => !/^https?:/.test(link));
    expect(relative.filter((link) => !leadsSomewhere(page, link))).toEqual([]);
  });
});

test('docs/README.md lists every page', () => {
  const others = PAGES.map(({ path }) => path).filter(
    (path) => path.startsWith('docs/') && path !== 'docs/README.md',
  );
  const listed = linksOf(pageAt('docs/README.md')).map((link) => posix.join('docs', link));
  expect(listed).toEqual(expect.arrayContaining(others));
});

test('every path of the checkout that a page names exists', () => {
  const missing = PAGES.flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:src|test|docs|\.ci)\/[\w./-]+)`/g)]
      .filter(([, named]) => !existsSync(join(process.cwd(), named!)))
      .map(([, named]) => `${path}: ${named}`),
  );
  expect(missing).toEqual([]);
});

test(`the README has at most ${MOST_LINES} lines`, () => {
  expect(pageAt('README.md').text.trimEnd().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
});
