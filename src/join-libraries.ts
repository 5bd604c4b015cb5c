import { build, type Metafile } from 'esbuild';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILT } from './built-files.js';

/*
 * The part of `npm run build` that joins the libraries of the server into a few files.
 *
 * Problem: Nest, RxJS and Express are 800 modules, which Node finds and reads one by one: nearly half of the processor time of a
 * start. Design: each library that the server imports becomes one file of the folder libraries/, beside files of what several
 * of them share, and the build imports those. The code of the libraries does not change, and `nest start` takes them as they are.
 * An installation has them from here only: 17 packages are installed beside the server, where it would be 115.
 */
const LIBRARIES: Readonly<Record<string, string>> = {
  '@nestjs/common': 'nest-common',
  '@nestjs/core': 'nest-core',
  '@nestjs/platform-express': 'nest-platform-express',
  express: 'express',
  'reflect-metadata': 'reflect-metadata',
};

/** What Nest asks for and goes on without. */
const LEFT_OUT = ['@nestjs/microservices*', '@nestjs/websockets*', 'class-validator', 'class-transformer*'];

const IMPORT = /(\bfrom |\bimport\()'([^'.][^']*)'/g;
const LICENSE = /^(licen[cs]e|notice)/i;

const folder = fileURLToPath(new URL('libraries', BUILT));

const { metafile } = await build({
  entryPoints: Object.entries(LIBRARIES).map(([library, name]) => ({ in: library, out: name })),
  outdir: folder,
  bundle: true,
  splitting: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: LEFT_OUT,
  // The log filters by names of classes.
  keepNames: true,
  // For libraries in CommonJS, which load modules of Node by `require`.
  banner: {
    js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);",
  },
  logLevel: 'warning',
});
writeFileSync(join(folder, 'LICENSES.txt'), licensesOf(metafile));
takeJoined();

/** Makes every module of the build import the joined libraries. */
function takeJoined(): void {
  const own = readdirSync(BUILT, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.js') && !/^(libraries|console\/public|openapi\/swagger)/.test(name),
  );
  for (const name of own) {
    const file = new URL(name, BUILT);
    const code = readFileSync(file, 'utf8');
    const joined = code.replace(IMPORT, (whole, before: string, library: string) =>
      library in LIBRARIES ? `${before}'${pathTo(LIBRARIES[library]!, name)}'` : whole,
    );
    if (joined !== code) writeFileSync(file, joined);
  }
}

function pathTo(library: string, from: string): string {
  const path = relative(dirname(from), `libraries/${library}.js`);
  return path.startsWith('.') ? path : `./${path}`;
}

/** The license texts of all packages that have been joined. */
function licensesOf({ inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []),
  );
  return [...packages]
    .toSorted()
    .filter((path) => existsSync(path))
    .flatMap((path) =>
      readdirSync(path)
        .filter((name) => LICENSE.test(name))
        .map((name) => join(path, name)),
    )
    .map((path) => `${path.replace(/.*node_modules\//, '')}\n\n${readFileSync(path, 'utf8')}`)
    .join(`\n${'-'.repeat(80)}\n\n`);
}
