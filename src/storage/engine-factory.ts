import { resolve } from 'node:path';
import { StartError } from '../errors.js';
import { LmdbEngine, type LmdbSettings } from './lmdb/lmdb.engine.js';
import { MemoryEngine } from './memory.engine.js';
import type { StorageEngine } from './storage-engine.js';

/** What an engine needs to know beside its URL. */
export type EngineSettings = LmdbSettings;

type Factory = (rest: string, settings: EngineSettings) => StorageEngine;

/** Every engine by the scheme of its URL. A new engine is one line here and one in the contract tests. */
const ENGINES: Record<string, Factory> = {
  lmdb: (folder, settings) => new LmdbEngine(resolve(folder), settings),
  memory: () => new MemoryEngine(),
};

/** The accepted forms of DATABASE_URL, for error messages. */
export const DATABASE_URL_FORMS = 'lmdb:<folder> or memory:';

/** Whether `url` names an engine this version has. */
export function isDatabaseUrl(url: string): boolean {
  const { scheme, rest } = split(url);
  return Object.hasOwn(ENGINES, scheme) && (scheme === 'lmdb') === (rest !== '');
}

/** Makes the engine that `url` names; it is not open yet. @throws StartError */
export function createEngine(url: string, settings: EngineSettings): StorageEngine {
  if (!isDatabaseUrl(url)) throw new StartError(`DATABASE_URL must be ${DATABASE_URL_FORMS}.`);
  const { scheme, rest } = split(url);
  return ENGINES[scheme]!(rest, settings);
}

function split(url: string): { scheme: string; rest: string } {
  const colon = url.indexOf(':');
  return { scheme: url.slice(0, Math.max(0, colon)), rest: url.slice(colon + 1) };
}
