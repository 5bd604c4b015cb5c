import { LmdbEngine } from '../../src/storage/lmdb/engine.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import { decodePosition, encodePosition, LOG_START, type Offset } from '../../src/storage/redis/position.js';
import { parseRedisUrl } from '../../src/storage/redis/cluster-client/redis-url.js';
import { RedisEngine, type RedisSettings } from '../../src/storage/redis/engine.js';
import { formatTag, parseTag } from '../../src/storage/revision.js';
import { restoreInto } from '../support/backup.js';
import type { RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import type { ServerTime } from '../support/server-time.js';
import type { EngineFactory } from './rule.js';

export const MAX_SNAPSHOT_AGE = 600_000;
const LOG_BYTES = 2 ** 20;

/** Forges positions of engines whose positions are tags. */
function forgedTags(position: string): string[] {
  const { epoch, sequence } = parseTag(position)!;
  return [
    formatTag(epoch, sequence + 1),
    formatTag(epoch, 2 ** 52 - 1),
    ...[-1, 1, 1000].map((by) => formatTag(epoch + by, sequence)),
    ...[-1, 1].map((by) => formatTag(epoch + by, sequence - 1)),
  ];
}

export const memory: EngineFactory = {
  make: (clock) => new MemoryEngine(clock),
  forgedPositions: forgedTags,
  storedEntries: (engine) => (engine as MemoryEngine)['entries'].size,
};

export const lmdb: EngineFactory = {
  make: (clock, folder) =>
    new LmdbEngine(
      folder,
      { onFailure: rethrow, maxSnapshotAge: MAX_SNAPSHOT_AGE, watchLogBytes: LOG_BYTES },
      clock,
    ),
  forgedPositions: forgedTags,
  restore: restoreInto,
  storedEntries: (engine) => (engine as LmdbEngine)['store'].entryCount(),
};

/** Returns an engine on a server of Redis, not open yet. @param monotonic its clock, where tests move the time */
export function redisEngine(
  url: string,
  settings: Partial<RedisSettings> = {},
  monotonic?: () => number,
): RedisEngine {
  const all = { watchLogBytes: LOG_BYTES, waitReplicas: 0, report: () => undefined, ...settings };
  return new RedisEngine(parseRedisUrl(url)!, all, monotonic);
}

/**
 * Returns the factory of an engine on a server that the tests start, with a clock of their own, and that is emptied before
 * every rule.
 */
export function redisAt(
  cluster: boolean,
  time: ServerTime,
  started: () => RedisServer | RedisCluster,
): EngineFactory {
  // Fewer than the default of a cluster, because every listing asks all partitions.
  const partitions = cluster ? 16 : 1;
  const url = (base: string) => `${base}?partitions=${partitions}`;
  const nowhere = `redis${cluster ? '+cluster' : ''}://127.0.0.1:1`;
  return {
    make: (clock, folder) =>
      redisEngine(url(folder === '' ? nowhere : started().url), {}, clock['monotonic']),
    follow: (fake) => time.follow(fake),
    clean: async () => {
      const server = started();
      await Promise.all(('nodes' in server ? server.nodes : [server]).map((node) => node.flush()));
    },
    forgedPositions: (position) => forgedOffsets(position, partitions),
    storedEntries: async (engine) => {
      const store = (engine as RedisEngine)['store'];
      const counts = await store.onEachPartition((each) => store.read(each, 'ZCARD', each.index));
      return (counts as number[]).reduce((sum, count) => sum + count, 0);
    },
  };
}

function forgedOffsets(position: string, partitions: number): string[] {
  const epoch = Buffer.from(position, 'base64url').readUInt32BE(0);
  const known = Array.from({ length: partitions }, () => 0);
  const offsets = decodePosition(position, epoch, known)!;
  const last = offsets.findLastIndex(({ sequence }) => sequence > 0);
  const { sequence, random } = offsets[last]!;
  const other = random === 'ffff' ? '0000' : 'ffff';
  const forged: Offset[] = [
    { sequence: sequence + 1, random },
    { sequence: 2 ** 47, random },
    { sequence, random: other },
    { sequence: sequence + 1, random: other },
  ];
  return [
    ...[-1, 1, 1000].map((by) => encodePosition(epoch + by, offsets)),
    ...forged.map((offset) => encodePosition(epoch, offsets.with(last, offset))),
    encodePosition(epoch, offsets.slice(1)),
    encodePosition(epoch, [...offsets, LOG_START]),
  ];
}

function rethrow(error: Error): void {
  throw error;
}
