import { StartError } from '../../errors.js';
import { nextEpoch } from '../revision.js';
import type { OpenSettings } from '../storage-engine.js';
import type { Connection } from './cluster-client/connection.js';
import { Refused } from './cluster-client/retries.js';
import { infoOf, limitsOf } from './deployment.js';
import { slotOf } from './cluster-client/slots.js';
import { META } from './partitions.js';
import type { ClusterClient } from './cluster-client/cluster-client.js';
import { nameOf, type RedisAddress } from './cluster-client/redis-url.js';
import { missingRights, rightsFor } from './rights.js';
import { MAKE } from './scripts.js';

/** Raised by one when a server of before could not use what this one writes. */
export const FORMAT = 1;
const LEAST_VERSION = 7;

interface PrepareSettings extends OpenSettings {
  readonly report: (line: string) => void;
}

/** What is written once for a database. */
export interface Meta {
  readonly partitions: number;
  /** When the database was made, seconds since 1970. */
  readonly epoch: number;
}

/**
 * Looks at the servers before anything is written to them.
 * @param settings of which `report` is told, a line each, what limits the promises of this deployment
 * @throws StartError with one line on what is wrong
 */
export async function prepare(
  nodes: ClusterClient,
  address: RedisAddress,
  now: number,
  { report, readOnly }: PrepareSettings,
): Promise<Meta> {
  const where = `Redis at ${address.seeds.map(nameOf).join(', ')}`;
  try {
    const seed = await nodes.topology.anyReady();
    await assertKind(seed, address, where);
    await nodes.topology.refresh();
    const primaries = nodes.topology.primaries();
    if (primaries.length === 0)
      throw new StartError(
        `${where} is a cluster where no server has the slots, or CLUSTER SLOTS is not allowed.`,
      );
    for (const primary of primaries) {
      // Those that the URL leaves out have only just been heard of.
      await nodes.topology.anyReady([primary]);
      await assertSuitable(primary, address, report);
    }
    return await takeMeta(nodes, primaries, address, now, where, readOnly);
  } catch (error) {
    if (error instanceof StartError) throw error;
    const why = error instanceof Refused ? error.why : (error as Error).message;
    if (why.startsWith('WRONGTYPE')) throw foreignMeta(where);
    const said = why.split('\n')[0]!.replace(/[^.?!]$/, '$&.');
    throw new StartError(`${where} cannot be used: ${said}${hintFor(said, address)}`);
  }
}

/** What to do about the words of Redis, of TLS or of the operating system, after a space. */
function hintFor(said: string, { tls, cluster }: RedisAddress): string {
  if (said.startsWith('NOPERM')) return ` Its user needs ${rightsFor(cluster)}.`;
  const hint = HINTS.find(([words, ofTls]) => words.test(said) && (ofTls === undefined || ofTls === tls));
  return hint ? ` ${hint[2]}` : '';
}

const HINTS: readonly (readonly [words: RegExp, ofTls: boolean | undefined, hint: string])[] = [
  [
    /^NOAUTH/,
    undefined,
    'DATABASE_URL needs the password: redis://user:password@host:port, the user may be empty.',
  ],
  [
    /^WRONGPASS|^ERR AUTH/,
    undefined,
    'See user and password in DATABASE_URL; other characters than letters and digits are percent-encoded there.',
  ],
  [/certificate/i, true, 'NODE_EXTRA_CA_CERTS may name the file of an authority to trust.'],
  [
    /timeout|ECONNRESET|SSL|closed/i,
    true,
    'If it does not speak TLS, DATABASE_URL begins with redis, not rediss.',
  ],
  [/timeout|ECONNRESET|closed/i, false, 'If it speaks TLS, DATABASE_URL begins with rediss.'],
];

function foreignMeta(where: string): StartError {
  return new StartError(`${where} holds a key ${META} that is not Pigeonhole's.`);
}

async function assertKind(seed: Connection, { cluster }: RedisAddress, where: string): Promise<void> {
  const info = await infoOf(seed, 'server', 'cluster');
  const version = info.get('valkey_version') ?? info.get('redis_version') ?? '0';
  if (Number.parseInt(version, 10) < LEAST_VERSION) {
    throw new StartError(
      `${where} has version ${version}; ${LEAST_VERSION}.0 is the least that is supported.`,
    );
  }
  const isCluster = info.get('cluster_enabled') === '1';
  if (isCluster && !cluster)
    throw new StartError(`${where} is part of a cluster: DATABASE_URL must be redis+cluster://…`);
  if (!isCluster && cluster) throw new StartError(`${where} is no cluster: DATABASE_URL must be redis://…`);
}

async function assertSuitable(
  primary: Connection,
  { cluster }: RedisAddress,
  report: (line: string) => void,
): Promise<void> {
  const { name } = primary;
  const missing = await missingRights(primary, cluster);
  if (missing.length > 0) {
    throw new StartError(
      `Redis at ${name} cannot be used: its user lacks ${missing.join(' ')}. Its user needs ${rightsFor(cluster)}.`,
    );
  }
  const info = await infoOf(primary, 'memory');
  const policy = info.get('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new StartError(
      `Redis at ${name} may evict keys (maxmemory-policy ${policy}), so that acknowledged writes would vanish. ` +
        'Set it to noeviction.',
    );
  }
  for (const limit of await limitsOf(primary)) report(limit);
}

/** Finds the database, or makes it where there is nothing at all. */
async function takeMeta(
  nodes: ClusterClient,
  primaries: readonly Connection[],
  address: RedisAddress,
  now: number,
  where: string,
  readOnly: boolean | undefined,
): Promise<Meta> {
  const slot = slotOf(META);
  const read = () =>
    nodes.run({ slot, args: ['HGETALL', META], repeatable: 'repeatable' }) as Promise<Buffer[]>;
  let fields = await read();
  if (fields.length === 0) {
    if (readOnly) throw new StartError(`${where} holds no Pigeonhole database.`);
    for (const primary of primaries) {
      if ((await primary.send(['DBSIZE'])) !== 0 && (await read()).length === 0) {
        throw new StartError(
          `${where} holds keys that are not Pigeonhole's; it needs a database of its own.`,
        );
      }
    }
    const made = ['format', FORMAT, 'partitions', address.partitions, 'epoch', nextEpoch(now, 0)];
    const args = ['EVALSHA', MAKE.sha, '1', META, ...made.map(String)];
    const call = { slot, args, script: MAKE, repeatable: 'repeatable', write: true } as const;
    fields = (await nodes.run(call)) as Buffer[];
  }
  const meta = new Map<string, number>();
  for (let i = 0; i < fields.length; i += 2)
    meta.set(fields[i]!.toString(), Number(fields[i + 1]!.toString()));
  const format = meta.get('format') ?? 0;
  if (format > FORMAT)
    throw new StartError(
      `${where} holds format ${format}, made by a newer Pigeonhole; this one knows ${FORMAT}.`,
    );
  const [partitions, epoch] = [meta.get('partitions'), meta.get('epoch')];
  if (!partitions || !epoch) throw foreignMeta(where);
  return { partitions, epoch };
}
