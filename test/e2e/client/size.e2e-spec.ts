import { expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { gzipSync } from 'node:zlib';

const MOST_BYTES = 3000;

/** Bundles a page that imports the client, and returns what it loads: at once, and later. */
async function bundled(): Promise<{ first: number; later: number }> {
  const contents = `import { Pigeonhole } from './dist/client/pigeonhole.js'; globalThis.db = new Pigeonhole('/');`;
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: process.cwd(), sourcefile: 'page.js' },
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
    outdir: 'bundle',
    absWorkingDir: process.cwd(),
  });
  const sizes = new Map(
    outputFiles.map(({ path, contents: code }) => [path, gzipSync(code, { level: 9 }).length] as const),
  );
  const sizeOf = (name: string) => [...sizes].find(([path]) => path.endsWith(name))![1];
  const [entry] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint !== undefined)!;
  const atOnce = [entry];
  for (const name of atOnce)
    for (const { path, kind } of metafile.outputs[name]!.imports)
      if (kind === 'import-statement' && !atOnce.includes(path)) atOnce.push(path);
  const first = atOnce.reduce((sum, name) => sum + sizeOf(name), 0);
  return { first, later: [...sizes.values()].reduce((sum, size) => sum + size, 0) - first };
}

test(`a page that imports the client loads at most ${MOST_BYTES} bytes of it, compressed`, async () => {
  const { first, later } = await bundled();
  expect(later).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(MOST_BYTES);
});
