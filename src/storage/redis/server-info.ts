import type { EngineState } from '../storage-engine.js';
import { missingRules } from './acl-rules.js';
import type { Connection } from './cluster-client/connection.js';
import { SLOT_COUNT } from './cluster-client/slots.js';
import type { RedisStore } from './store.js';

const TIMEOUT_MS = 1_500;

/**
 * Whether every slot has a primary that responds and takes writes, and what limits the durability of each, or is wrong with
 * its clock.
 *
 * @param waitReplicas how many replicas must have a write
 */
export async function engineState(
  { client, presence, partitions }: RedisStore,
  waitReplicas: number,
  cluster: boolean,
): Promise<EngineState> {
  const { topology } = client;
  const problems: string[] = [];
  const deadline = performance.now() + TIMEOUT_MS;
  const looking = presence.countLost(partitions.all, deadline);
  const limits = await Promise.all(
    topology.primaries().map(async (primary) => {
      try {
        const [info, missing] = await Promise.all([
          infoOf(primary, 'memory', 'persistence', 'replication'),
          missingRules(primary, cluster),
        ]);
        problems.push(...(await obstacles(primary, info, waitReplicas, deadline)));
        if (missing.length > 0) problems.push(`${primary.name}: its user lacks ${missing.join(' ')}.`);
        const limits = await durabilityLimits(primary, info, deadline);
        const skew = primary.clock.skew();
        return skew ? [`${primary.name}: ${skew}`, ...limits] : limits;
      } catch (error) {
        problems.push(`${primary.name} does not answer: ${(error as Error).message}`);
        return [];
      }
    }),
  );
  const lost = await looking;
  if (lost > 0)
    problems.push(
      `${lost} of ${partitions.all.length} partitions are gone: their server has come back without its data. Put it back, ` +
        'or begin anew (docs/redis.md).',
    );
  const unassigned = topology.unassignedSlots();
  if (unassigned > 0) problems.push(`${unassigned} of ${SLOT_COUNT} slots have no server.`);
  return { ready: problems.length === 0, notes: [...problems, ...limits.flat()] };
}

/** What keeps a server from taking writes, a sentence each. */
async function obstacles(
  primary: Connection,
  info: Info,
  waitReplicas: number,
  deadline: number,
): Promise<string[]> {
  const { name } = primary;
  const number = (field: string): number => Number(info.get(field) ?? 0);
  const found: string[] = [];
  if (info.get('role') !== 'master') found.push(`${name}: it is a replica, which takes no writes.`);
  if (number('maxmemory') > 0 && number('used_memory') >= number('maxmemory'))
    found.push(`${name}: its memory is full (maxmemory): puts are refused until there is space.`);
  if (info.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'err')
    found.push(`${name}: its append-only file cannot be written, so it refuses writes.`);
  if (info.get('rdb_last_bgsave_status') === 'err' && (await stopsWithoutSnapshots(primary, deadline)))
    found.push(`${name}: its last snapshot failed (stop-writes-on-bgsave-error), so it refuses writes.`);
  const replicas = number('connected_slaves');
  if (replicas < waitReplicas)
    found.push(`${name}: WAIT_REPLICAS is ${waitReplicas}, and it has ${replicas}: writes answer 504.`);
  // It is told only where there is a least number.
  if (info.has('min_slaves_good_slaves')) {
    const good = number('min_slaves_good_slaves');
    const least = Number((await configOf(primary, 'min-replicas-to-write', deadline)) ?? 1);
    if (good < least)
      found.push(`${name}: min-replicas-to-write is ${least}, and ${good} are in time: it refuses writes.`);
  }
  return found;
}

/** Whether a server takes no writes when a snapshot has failed. */
async function stopsWithoutSnapshots(primary: Connection, deadline: number): Promise<boolean> {
  if ((await configOf(primary, 'stop-writes-on-bgsave-error', deadline)) !== 'yes') return false;
  return (await configOf(primary, 'save', deadline)) !== '';
}

/** What keeps a primary from promising more durability, a sentence each. */
export async function durabilityLimits(
  primary: Connection,
  info: Info,
  deadline = performance.now() + TIMEOUT_MS,
): Promise<string[]> {
  const { name } = primary;
  const limits: string[] = [];
  const policy = info.get('maxmemory_policy');
  if (policy !== 'noeviction')
    limits.push(
      `${name}: maxmemory-policy is ${policy}, so acknowledged writes can vanish. Set it to noeviction.`,
    );
  if (info.get('aof_enabled') !== '1') {
    const kept =
      (await configOf(primary, 'save', deadline)) === ''
        ? 'everything'
        : 'all writes since its last snapshot';
    limits.push(`${name}: appendonly is off, so a restart loses ${kept}.`);
  } else if ((await configOf(primary, 'appendfsync', deadline)) === 'everysec') {
    limits.push(`${name}: appendfsync is everysec, so a power failure can lose the last second or two.`);
  }
  if (info.get('connected_slaves') === '0') {
    limits.push(`${name}: no replica, so its keys cannot be reached when it fails.`);
  }
  return limits;
}

type Info = ReadonlyMap<string, string>;

/** The fields of some sections of INFO. */
export async function infoOf(connection: Connection, ...sections: string[]): Promise<Info> {
  const deadline = performance.now() + TIMEOUT_MS;
  const text = ((await connection.send(['INFO', ...sections], deadline)) as Buffer).toString();
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** A parameter of the server's configuration; undefined if the user may not read it. */
async function configOf(connection: Connection, name: string, deadline: number): Promise<string | undefined> {
  try {
    return ((await connection.send(['CONFIG', 'GET', name], deadline)) as Buffer[])[1]?.toString();
  } catch {
    return undefined;
  }
}
