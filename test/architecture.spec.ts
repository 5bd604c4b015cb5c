import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const SRC = join(process.cwd(), 'src');
const MOST_LINES = 300;

/**
 * The rooms, floor by floor: a file imports from its own room and from the floors below it, so rooms of one floor know
 * nothing of each other. A room is a folder, or a list of files of one; a file belongs to the most exact of them.
 */
const FLOORS: readonly (readonly (readonly string[])[])[] = [
  [
    ['built-files.ts'],
    ['errors.ts'],
    ['event-loop.ts'],
    ['meters.ts'],
    ['process.ts'],
    ['version.ts'],
    ['client'],
  ],
  [['adapters']],
  [['config']],
  [['storage/redis/cluster-client']],
  [['storage']],
  [['storage/lmdb'], ['storage/redis']],
  [['storage/engine-factory.ts', 'storage/storage.module.ts']],
  [['migration'], ['http/request']],
  [['http/answer']],
  [['http/gate']],
  [['http/server']],
  [['http']],
  [['auth']],
  [['backup']],
  [
    [
      'kv/conditions.openapi.ts',
      'kv/database.service.ts',
      'kv/databases.ts',
      'kv/edits.ts',
      'kv/entry-json.ts',
      'kv/expiry.ts',
      'kv/json-pieces.ts',
      'kv/key.ts',
      'kv/once-writes.ts',
      'kv/schemas.ts',
      'kv/value-size.ts',
      'kv/written.ts',
    ],
    ['health'],
    ['openapi'],
    ['console'],
  ],
  [['kv/watch'], ['metrics']],
  [['kv/transfer'], ['kv/past']],
  [['kv/entry'], ['kv/range'], ['kv/batch']],
  [['kv']],
  [['']],
  [['cli']],
];

/** Rooms that see less than the floors below them. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  client: [],
  adapters: ['client'],
  'storage/redis/cluster-client': ['errors.ts'],
  migration: ['errors.ts', 'storage'],
  metrics: ['errors.ts', 'meters.ts', 'version.ts', 'config', 'storage', 'http', 'auth', 'health'],
};

interface Source {
  /** From src, with slashes. */
  readonly path: string;
  readonly text: string;
  /** What its imports and re-exports name. */
  readonly specifiers: readonly string[];
  /** Those of them that are loaded with it. */
  readonly loaded: readonly string[];
}

const SOURCES: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const specifiers = [...allImports(text), ...dynamicImports(text)];
    const loaded = allImports(text.replace(/^\s*(?:import|export)\stype\s[^;]*;/gm, ''));
    return { path: path.split(sep).join('/'), text, specifiers, loaded };
  });

function allImports(text: string): string[] {
  const statements = text.matchAll(/^\s*(?:import|export)\s(?:[^;'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm);
  return [...statements].map(([, specifier]) => specifier!);
}

function dynamicImports(text: string): string[] {
  return [...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)].map(([, specifier]) => specifier!);
}

function isOurs(specifier: string): boolean {
  return specifier.startsWith('.');
}

/** The sources a source imports, from src. */
function importsOf({ path, specifiers }: Source): string[] {
  return sourcesNamed(specifiers, path);
}

function sourcesNamed(specifiers: readonly string[], path: string): string[] {
  return specifiers
    .filter(isOurs)
    .map((specifier) =>
      relative(SRC, join(SRC, dirname(path), specifier))
        .split(sep)
        .join('/'),
    )
    .map((target) => target.replace(/\.js$/, '.ts'));
}

/** The floor of a file and the number of its room on it. */
function roomOf(path: string): { floor: number; room: string } {
  let found = { floor: -1, room: '' };
  for (const [floor, rooms] of FLOORS.entries()) {
    for (const room of rooms) {
      const place = room.find((each) => each === '' || path === each || path.startsWith(`${each}/`));
      if (place === undefined || (found.floor >= 0 && place.length < found.room.length)) continue;
      found = { floor, room: place.endsWith('.ts') ? room.join() : place };
    }
  }
  return found;
}

function mayImport(path: string, target: string): boolean {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from.room === to.room) return true;
  const only = ONLY[from.room];
  if (only) return only.some((room) => target === room || target.startsWith(`${room}/`));
  return to.floor < from.floor;
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

  test('import from their own room and from the floors below it', () => {
    const upwards = SOURCES.flatMap((source) =>
      importsOf(source)
        .filter((target) => !mayImport(source.path, target))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  test.each([
    ['http/request/body-reader.ts', 'http/server/shutdown.ts'],
    ['kv/entry/entry.controller.ts', 'kv/batch/batch-request.ts'],
    ['kv/key.ts', 'kv/watch/watch-hub.ts'],
    ['storage/lmdb/engine.ts', 'storage/redis/engine.ts'],
    ['storage/redis/cluster-client/connection.ts', 'storage/entry.ts'],
    ['migration/migration.ts', 'http/answer/answer.ts'],
    ['errors.ts', 'main.ts'],
  ])('%s may not import %s', (path, target) => {
    expect(mayImport(path, target)).toBe(false);
  });

  test('load at the start only packages that an installation has', () => {
    const { dependencies } = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8'));
    const { text: joined } = SOURCES.find(({ path }) => path === 'join-libraries.ts')!;
    const isInstalled = (specifier: string): boolean =>
      specifier.startsWith('node:') ||
      new RegExp(`^  '?${specifier}'?: '`, 'm').test(joined) ||
      Object.keys(dependencies).some((name) => `${specifier}/`.startsWith(`${name}/`));
    const documentation = /\.openapi\.ts$|^openapi\/make-document\.ts$/;
    const queue = ['main.ts', 'cli/pigeonhole.ts'];
    for (const path of queue) {
      const source = SOURCES.find((each) => each.path === path)!;
      const later = importsOf(source).filter((target) => !documentation.test(target));
      const targets = [...later, ...sourcesNamed(source.loaded.filter(isOurs), path)];
      queue.push(...targets.filter((target) => !queue.includes(target)));
      const missing = source.loaded.filter((each) => !isOurs(each) && !isInstalled(each));
      expect({ path, missing }).toEqual({ path, missing: [] });
    }
    expect(queue.length).toBeGreaterThan(50);
  });

  test('load nothing of the server for a command that asks one', () => {
    const onFolders =
      /^cli\/(serve|migrate|backup|check|salvage|compact|set-clock)\.command\.ts$|^cli\/(create-token|data-file)\.ts$/;
    const asking = SOURCES.filter(({ path }) => path.startsWith('cli/') && !onFolders.test(path));
    const foreign = asking.flatMap(({ path, specifiers, loaded }) => {
      const allowed = /^(cli\/|client\/|errors\.ts$|version\.ts$|process\.ts$)/;
      const targets = sourcesNamed(specifiers.filter(isOurs), path).filter((target) => !allowed.test(target));
      const heavy = sourcesNamed(loaded, path).filter((target) => /create-token|data-file/.test(target));
      return [...targets, ...heavy].map((target) => `${path} loads ${target}`);
    });
    expect(asking.length).toBeGreaterThan(20);
    expect(foreign).toEqual([]);
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
    // What the package is imported by has to name all that its users may.
    const entrance = 'client/pigeonhole.ts';
    const barrels = SOURCES.filter(
      ({ path, text }) => /(?:^|\/)index\.ts$/.test(path) || (path !== entrance && reexporting.test(text)),
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
