import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { StartError } from '../errors.js';
import type { LmdbSettings } from './lmdb/settings.js';
import { resolveFolder } from './lmdb/folder-name.js';
import { MemoryEngine } from './memory.engine.js';
import { formatPlace, parseRedisUrl, REDIS_URL_FORMS } from './redis/cluster-client/redis-url.js';
import type { RedisSettings } from './redis/engine.js';
import type { StorageEngine } from './storage-engine.js';

/** The settings of all engines; each reads its own. */
type EngineSettings = LmdbSettings & RedisSettings;

interface Engine {
  /** The forms of its URL, for error messages. */
  readonly form: string;
  readonly accepts: (url: string) => boolean;
  /** Imports the engine only here, so that a server does not load the libraries of engines that it does not use. */
  readonly make: (url: string, settings: EngineSettings) => Promise<StorageEngine>;
  /** Makes this process the owner of a store that belongs to one server at a time. */
  readonly lock?: (url: string, report: (line: string) => void) => Promise<{ release(): void }>;
}

const redis: Engine = {
  form: REDIS_URL_FORMS,
  accepts: (url) => parseRedisUrl(url) !== undefined,
  make: async (url, settings) => {
    const { RedisEngine } = await import('./redis/engine.js');
    return new RedisEngine(parseRedisUrl(url)!, settings);
  },
};

/** The engines by the schemes of their URLs. A new engine is one line here and one in the contract tests. */
const ENGINES: Record<string, Engine> = {
  lmdb: {
    form: 'lmdb:<folder>',
    accepts: (url) => afterScheme(url) !== '',
    make: async (url, settings) => {
      const { LmdbEngine } = await import('./lmdb/engine.js');
      return new LmdbEngine(resolveFolder(afterScheme(url), 'DATABASE_URL'), settings);
    },
    lock: async (url, report) => {
      const { lockFolder } = await import('./lmdb/folder-lock.js');
      const { Admissions } = await import('./lmdb/admission.js');
      const folder = resolveFolder(afterScheme(url), 'DATABASE_URL');
      return lockFolder(folder, report, new Admissions().welcome);
    },
  },
  memory: {
    form: 'memory:',
    accepts: (url) => afterScheme(url) === '',
    make: async (_, settings) => new MemoryEngine(undefined, settings),
  },
  redis,
  rediss: redis,
  'redis+cluster': redis,
  'rediss+cluster': redis,
};

/** The accepted forms of DATABASE_URL, for error messages. */
const DATABASE_URL_FORMS = [...new Set(Object.values(ENGINES).map(({ form }) => form))].join(', ');

/** Creates the engine that `url` names, not open yet. @throws StartError if no engine accepts the URL and settings */
export async function createEngine(url: string, settings: EngineSettings): Promise<StorageEngine> {
  const engine = engineOf(url);
  if (settings.waitReplicas > 0 && engine !== redis) {
    throw new StartError('WAIT_REPLICAS is for databases in Redis. Start the server without it.');
  }
  if ((settings.processes ?? 1) > 1 && engine === ENGINES['memory']) {
    throw new StartError('A memory: database serves one process only. Start the server without WORKERS.');
  }
  return engine.make(url, settings);
}

/**
 * Makes this process the owner of the store that `url` names, for engines of several processes that it starts.
 * @throws StartError if it has an owner, or no engine accepts the URL
 */
export async function lockStore(
  url: string,
  report: (line: string) => void,
): Promise<{ release(): void } | undefined> {
  return engineOf(url).lock?.(url, report);
}

/** @throws StartError if no engine accepts the URL */
function engineOf(url: string): Engine {
  const scheme = schemeOf(url);
  const engine = Object.hasOwn(ENGINES, scheme) ? ENGINES[scheme] : undefined;
  if (!engine?.accepts(url)) throw new StartError(`DATABASE_URL must be one of ${DATABASE_URL_FORMS}.`);
  return engine;
}

/** Returns the URL as logs show it: a folder with its whole path, and no password. */
export function loggedUrl(url: string): string {
  return schemeOf(url) === 'lmdb' ? `lmdb:${resolve(afterScheme(url))}` : withoutPassword(url);
}

/** Returns one spelling of the URL that everybody may see: a folder by its real path, servers without user and options. */
export function placeOf(url: string): string {
  const redisUrl = parseRedisUrl(url);
  if (redisUrl) return formatPlace(redisUrl);
  if (schemeOf(url) !== 'lmdb') return url;
  const folder = resolve(afterScheme(url));
  try {
    return `lmdb:${realpathSync(folder)}`;
  } catch {
    return `lmdb:${folder}`; // it does not exist yet
  }
}

/** Returns the URL without its password. */
export function withoutPassword(url: string): string {
  return url.replace(/^(redis[^/]*:\/\/[^:@/]*):[^@/]*@/, '$1:***@');
}

function schemeOf(url: string): string {
  return url.slice(0, Math.max(0, url.indexOf(':')));
}

function afterScheme(url: string): string {
  return url.slice(url.indexOf(':') + 1);
}
