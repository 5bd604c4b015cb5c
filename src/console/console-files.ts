import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Injectable } from '@nestjs/common';
import { BUILT } from '../built-files.js';

/** Folders of the build (nest-cli.json) whose scripts and styles are served: the console's own, and the client that everybody can use. */
const FOLDERS: Readonly<Record<string, string>> = { public: 'console/public/', client: 'client/' };
const LIBRARY_FOLDER = 'console/';
/** Where what our modules import by name is. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  preact: 'preact/dist/preact.mjs',
  'preact/hooks': 'preact/hooks/dist/hooks.mjs',
  '@preact/signals-core': '@preact/signals-core/dist/signals-core.mjs',
  '@preact/signals': '@preact/signals/dist/signals.mjs',
  htm: 'htm/dist/htm.mjs',
  uplot: 'uplot/dist/uPlot.esm.js',
  'pigeonhole/client': 'client/pigeonhole.js',
  'pigeonhole/past': 'client/past.js',
};
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};

/** A file as it is sent. */
export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
}

/** All files of the console, and the name of just these. */
export interface FileSet {
  /** The beginning of a hash of all files: what is loaded under it never changes. */
  readonly version: string;
  /** By path. */
  readonly files: ReadonlyMap<string, ConsoleFile>;
}

const compress = promisify(gzip);

/** The files of the console, read and compressed when somebody first asks for one, and then kept: half a megabyte. */
@Injectable()
export class ConsoleFiles {
  private loaded: Promise<FileSet> | undefined;

  /** Returns the files. */
  load(): Promise<FileSet> {
    this.loaded ??= readAll();
    return this.loaded;
  }
}

async function readAll(): Promise<FileSet> {
  const files = new Map<string, ConsoleFile>();
  const hash = createHash('sha256');
  for (const [path, place] of await placesOfAll()) {
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)];
    if (type === undefined) continue;
    const bytes = await readFile(new URL(place, BUILT));
    hash.update(`${path} ${bytes.length} `).update(bytes);
    files.set(path, { type, bytes, gzipped: await compress(bytes) });
  }
  return { version: hash.digest('hex').slice(0, 16), files };
}

/** Returns the paths of all files, in order, each with its place in the build. */
async function placesOfAll(): Promise<[path: string, place: string][]> {
  const places = new Map(Object.values(LIBRARIES).map((path) => [path, LIBRARY_FOLDER + path]));
  for (const [name, folder] of Object.entries(FOLDERS))
    for (const file of await readdir(new URL(folder, BUILT))) places.set(`${name}/${file}`, folder + file);
  return [...places].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
