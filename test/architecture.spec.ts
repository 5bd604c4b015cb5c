import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const SRC = join(process.cwd(), 'src');
const MOST_LINES = 300;

/**
 * Who may import whom: only what stands lower. A folder that is not named is a feature: it stands above these, below the
 * composition root, and beside the other features, which it does not know.
 */
const LAYERS = ['errors', 'config', 'storage', 'http', 'auth'];
const FEATURE = LAYERS.length;
const ROOT = FEATURE + 1;
/** Beside the server, which one of its commands starts. */
const CLI = ROOT + 1;

interface Source {
  /** From src, with slashes. */
  readonly path: string;
  readonly text: string;
  /** What its imports and re-exports name. */
  readonly specifiers: readonly string[];
}

const SOURCES: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    return { path: path.split(sep).join('/'), text, specifiers: specifiersOf(text) };
  });

function specifiersOf(text: string): string[] {
  const statements = text.matchAll(/^\s*(?:import|export)\s(?:[^;'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm);
  const dynamic = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [...statements, ...dynamic].map(([, specifier]) => specifier!);
}

function isOurs(specifier: string): boolean {
  return specifier.startsWith('.');
}

/** The sources a source imports, from src. */
function importsOf({ path, specifiers }: Source): string[] {
  return specifiers
    .filter(isOurs)
    .map((specifier) =>
      relative(SRC, join(SRC, dirname(path), specifier))
        .split(sep)
        .join('/'),
    )
    .map((target) => target.replace(/\.js$/, '.ts'));
}

function folderOf(path: string): string {
  return path.includes('/') ? path.split('/')[0]! : path.replace(/\.ts$/, '');
}

function rankOf(path: string): number {
  if (!path.includes('/') && path !== 'errors.ts') return ROOT;
  if (folderOf(path) === 'cli') return CLI;
  const layer = LAYERS.indexOf(folderOf(path));
  return layer < 0 ? FEATURE : layer;
}

describe('the sources', () => {
  test('are found, with their imports', () => {
    expect(SOURCES.length).toBeGreaterThan(20);
    const main = SOURCES.find(({ path }) => path === 'main.ts')!;
    expect(importsOf(main)).toEqual(expect.arrayContaining(['app.module.ts', 'errors.ts']));
  });

  test('import only what exists, by its name with .js', () => {
    const known = new Set(SOURCES.map(({ path }) => path));
    for (const source of SOURCES) {
      const wrong = source.specifiers.filter((each) => isOurs(each) && !each.endsWith('.js'));
      const missing = importsOf(source).filter((target) => !known.has(target));
      expect({ path: source.path, wrong, missing }).toEqual({ path: source.path, wrong: [], missing: [] });
    }
  });

  test('import downwards, and features know nothing of each other', () => {
    const upwards = SOURCES.flatMap((source) =>
      importsOf(source)
        .filter((target) => folderOf(target) !== folderOf(source.path))
        .filter((target) => rankOf(source.path) !== ROOT && rankOf(target) >= rankOf(source.path))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  test('import in no circle', () => {
    const imports = new Map(SOURCES.map((source) => [source.path, importsOf(source)]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, above: readonly string[]): void => {
      if (above.includes(path)) circles.push([...above.slice(above.indexOf(path)), path].join(' → '));
      if (above.includes(path) || done.has(path)) return;
      for (const target of imports.get(path) ?? []) visit(target, [...above, path]);
      done.add(path);
    };
    for (const { path } of SOURCES) visit(path, []);
    expect(circles).toEqual([]);
  });

  test('have no barrels', () => {
    const reexporting = /^export\s[^;'"]*\sfrom\s/m;
    const barrels = SOURCES.filter(
      ({ path, text }) => /(?:^|\/)index\.ts$/.test(path) || reexporting.test(text),
    );
    expect(barrels.map(({ path }) => path)).toEqual([]);
  });

  test(`have at most ${MOST_LINES} lines each`, () => {
    const long = SOURCES.filter(({ text }) => text.trimEnd().split('\n').length > MOST_LINES);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('need no forwardRef, which hides a circle', () => {
    expect(SOURCES.filter(({ text }) => text.includes('forwardRef')).map(({ path }) => path)).toEqual([]);
  });
});
