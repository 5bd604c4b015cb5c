import { describe, it } from '@jest/globals';
import type { Capabilities } from '../../src/storage/capabilities.js';
import { startCluster, type RedisCluster } from './redis-cluster.js';
import { REDIS_PROGRAM } from './redis-program.js';
import type { RedisServer } from './redis-server.js';
import { startRedis } from './redis.js';
import { requireProgram, skippedSuite } from './requires.js';
import { startBuilt, startInProcess, type Target } from './target.js';
import { temporaryFolder } from './temporary-folder.js';

/** Set by `npm run test:engines` and the long run, which take every way; it is the same tests as every day. */
const IS_EVERY_WAY = process.env['EVERY_ENGINE'] !== undefined;

const LMDB = 'lmdb: in process';

/** A way to run the server, with settings of the test's own. */
export interface Way {
  readonly name: string;
  readonly start: (settings?: Record<string, string>) => Promise<Target>;
  /** Whether `npm test` takes it: of the engines the two that differ most, LMDB and one Redis. */
  readonly isEveryday: boolean;
  /** What its engine does not promise. */
  readonly lacks: readonly (keyof Capabilities)[];
}

/** The application in this process on a Redis of its own, which ends with it. */
async function startOnRedis(
  redis: RedisServer | RedisCluster,
  settings: Record<string, string>,
): Promise<Target> {
  const target = await startInProcess({ DATABASE_URL: redis.url, ...settings });
  const close = async () => {
    await target.close();
    await redis.stop();
  };
  return { port: target.port, close };
}

const REDIS: Way = {
  name: 'redis: in process',
  isEveryday: true,
  start: async (settings = {}) => startOnRedis(await startRedis(), settings),
  lacks: ['atomicAcrossKeys', 'orderedTags', 'snapshots', 'backup'],
};

const CLUSTER: Way = {
  name: 'redis+cluster: in process',
  isEveryday: false,
  start: async (settings = {}) => startOnRedis(await startCluster({ replicas: 0 }), settings),
  lacks: [...REDIS.lacks, 'totalOrder'],
};

const isInstalled = REDIS_PROGRAM.name !== undefined;
if (!isInstalled)
  requireProgram(REDIS_PROGRAM.binary).describe('the server on Redis', () => it('answers', () => {}));

/** On each engine inside the test. */
export const ENGINES: Way[] = [
  { name: 'memory: in process', start: startInProcess, isEveryday: false, lacks: ['durable', 'backup'] },
  {
    name: LMDB,
    isEveryday: true,
    start: (settings) => startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}`, ...settings }),
    lacks: [],
  },
  ...(isInstalled ? [REDIS] : []),
];

/** Inside the test on a cluster of 3, which takes a second or two to start and answers the same: for suites that differ. */
export const CLUSTERS: Way[] = isInstalled ? [CLUSTER] : [];

/** On each engine inside the test, and as the built program, which stores in LMDB and every day stands for it. */
export const TARGETS: Way[] = [
  ...ENGINES.map((way) => ({ ...way, isEveryday: way.isEveryday && way.name !== LMDB })),
  { name: 'the built server', start: startBuilt, isEveryday: true, lacks: [] },
];

const otherwiseSkipped = IS_EVERY_WAY ? describe : skippedSuite('npm run test:engines only');

/** A `describe` for each way; `$name` in its title is that of the way. */
export function describeOn(ways: readonly Way[]): (title: string, tests: (way: Way) => void) => void {
  return (title, tests) => {
    for (const way of ways)
      (way.isEveryday ? describe : otherwiseSkipped)(title.replace('$name', way.name), () => tests(way));
  };
}
