import { StartError } from '../../errors.js';
import { nextEpoch } from '../revision.js';
import type { OpenSettings } from '../open-settings.js';
import { missingRules, requiredRules } from './acl-rules.js';
import type { ClusterClient } from './cluster-client/cluster-client.js';
import type { Connection } from './cluster-client/connection.js';
import { RefusedError } from './cluster-client/failures.js';
import { formatHostPort, type RedisUrl } from './cluster-client/redis-url.js';
import { slotOf } from './cluster-client/slots.js';
import { METADATA_KEY } from './partitions.js';
import { MAX_PARTITIONS } from './position.js';
import { CREATE } from './scripts.js';
import { durabilityLimits, infoOf } from './server-info.js';

/** Raised by one when an older server could not use what this one writes. */
const FORMAT = 1;
const MIN_VERSION = 7;

/** What is stored once for a database, when it is made. */
interface Metadata {
  readonly partitions: number;
  /** When the database was made, seconds since 1970. */
  readonly epoch: number;
  /** Whether every partition has its state. */
  readonly hasBegun: boolean;
}

interface PreflightSettings extends OpenSettings {
  /** Called with one line for each thing that limits the durability of a server. */
  readonly report: (line: string) => void;
}

/**
 * Checks every server before anything is written, then finds the database, or makes it where Redis is empty.
 * @throws StartError with one line on what is wrong
 */
export async function preflight(
  client: ClusterClient,
  url: RedisUrl,
  settings: PreflightSettings,
): Promise<Metadata> {
  const addresses = url.seeds.map(formatHostPort).join(', ');
  let product: Product = 'Redis';
  let servers = `${product} at ${addresses}`;
  try {
    const seed = await client.topology.waitUntilReady();
    const info = await infoOf(seed, 'server', 'cluster');
    product = productOf(info);
    servers = `${product} at ${addresses}`;
    assertKind(info, url, servers);
    await client.topology.refresh();
    const primaries = client.topology.primaries();
    if (primaries.length === 0)
      throw new StartError(
        `${servers} is a cluster where no server has the slots, or CLUSTER SLOTS is not allowed.`,
      );
    for (const primary of primaries) {
      await client.topology.waitUntilReady([primary]);
      await assertSuitable(primary, product, url, settings.report);
      await primary.readTime();
    }
    return await findOrCreate(client, primaries, url, servers, settings);
  } catch (error) {
    if (error instanceof StartError) throw error;
    const reason = error instanceof RefusedError ? error.reply : (error as Error).message;
    if (reason.startsWith('WRONGTYPE')) throw foreignMetadata(servers);
    const sentence = reason.split('\n')[0]!.replace(/[^.?!]$/, '$&.');
    throw new StartError(`${servers} cannot be used: ${sentence}${hintFor(sentence, url)}`);
  }
}

/** What to do about an error of Redis, of TLS or of the operating system, after a space. */
function hintFor(reason: string, { tls, cluster }: RedisUrl): string {
  if (reason.startsWith('NOPERM')) return ` Its user needs ${requiredRules(cluster)}.`;
  const hint = HINTS.find(
    ([pattern, onTls]) => pattern.test(reason) && (onTls === undefined || onTls === tls),
  );
  return hint ? ` ${hint[2]}` : '';
}

const HINTS: readonly (readonly [pattern: RegExp, onTls: boolean | undefined, hint: string])[] = [
  [
    /^NOAUTH/,
    undefined,
    'DATABASE_URL needs the password: redis://user:password@host:port, the user may be empty.',
  ],
  [
    /^WRONGPASS|^ERR AUTH/,
    undefined,
    'See user and password in DATABASE_URL; percent-encode other characters than letters and digits there.',
  ],
  [/certificate/i, true, 'NODE_EXTRA_CA_CERTS may name the file of an authority to trust.'],
  [
    /timeout|ECONNRESET|SSL|closed/i,
    true,
    'If it does not speak TLS, DATABASE_URL begins with redis, not rediss.',
  ],
  [/timeout|ECONNRESET|closed/i, false, 'If it speaks TLS, DATABASE_URL begins with rediss.'],
];

function foreignMetadata(servers: string): StartError {
  return new StartError(`${servers} holds a key ${METADATA_KEY} that is not Pigeonhole's.`);
}

type Product = 'Redis' | 'Valkey';

function productOf(info: ReadonlyMap<string, string>): Product {
  return info.has('valkey_version') ? 'Valkey' : 'Redis';
}

function assertKind(info: ReadonlyMap<string, string>, { cluster }: RedisUrl, servers: string): void {
  const version = info.get('valkey_version') ?? info.get('redis_version') ?? '0';
  if (Number.parseInt(version, 10) < MIN_VERSION) {
    throw new StartError(`${servers} has version ${version}; Pigeonhole needs ${MIN_VERSION}.0 or newer.`);
  }
  const isCluster = info.get('cluster_enabled') === '1';
  if (isCluster && !cluster)
    throw new StartError(`${servers} is part of a cluster: DATABASE_URL must be redis+cluster://…`);
  if (!isCluster && cluster) throw new StartError(`${servers} is no cluster: DATABASE_URL must be redis://…`);
}

async function assertSuitable(
  primary: Connection,
  product: Product,
  { cluster }: RedisUrl,
  report: (line: string) => void,
): Promise<void> {
  const { name } = primary;
  const missing = await missingRules(primary, cluster);
  if (missing.length > 0) {
    throw new StartError(
      `${product} at ${name} cannot be used: its user lacks ${missing.join(' ')}. Its user needs ${requiredRules(cluster)}.`,
    );
  }
  const info = await infoOf(primary, 'memory', 'persistence', 'replication');
  const policy = info.get('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new StartError(
      `${product} at ${name} may evict keys (maxmemory-policy ${policy}), so acknowledged writes could vanish. ` +
        'Set it to noeviction.',
    );
  }
  for (const limit of await durabilityLimits(primary, info)) report(limit);
}

async function findOrCreate(
  client: ClusterClient,
  primaries: readonly Connection[],
  url: RedisUrl,
  servers: string,
  { readOnly, report }: PreflightSettings,
): Promise<Metadata> {
  const slot = slotOf(METADATA_KEY);
  const read = () =>
    client.run({ slot, args: ['HGETALL', METADATA_KEY], idempotent: true }) as Promise<Buffer[]>;
  let fields = await read();
  if (fields.length === 0) {
    if (readOnly) throw new StartError(`${servers} holds no Pigeonhole database.`);
    assertPositionsFit(url.partitions);
    for (const primary of primaries) {
      // The keys may be those of a database that another server has made just now.
      if ((await primary.send(['DBSIZE'])) !== 0 && (await read()).length === 0) {
        throw new StartError(
          `${servers} holds keys that are not Pigeonhole's; it needs a database of its own.`,
        );
      }
    }
    const epoch = nextEpoch(await primaries[0]!.readTime(), 0);
    const metadata = ['format', FORMAT, 'partitions', url.partitions, 'epoch', epoch];
    const args = ['EVALSHA', CREATE.sha, '1', METADATA_KEY, ...metadata.map(String)];
    fields = (await client.run({ slot, args, script: CREATE, idempotent: true, write: true })) as Buffer[];
  }
  const metadata = decodeMetadata(fields, servers);
  warnOfPositions(servers, metadata.partitions, report);
  return metadata;
}

/** @throws StartError */
function assertPositionsFit(partitions: number): void {
  if (partitions <= MAX_PARTITIONS) return;
  throw new StartError(
    `DATABASE_URL asks for ${partitions} partitions; a new database can have ${MAX_PARTITIONS} at most. The id of an ` +
      'event has a place in the log of every partition, and with more of them it would be too long for a header.',
  );
}

function warnOfPositions(servers: string, partitions: number, report: (line: string) => void): void {
  if (partitions <= MAX_PARTITIONS) return;
  report(
    `${servers} holds a database of ${partitions} partitions, so that ids of events may be too long for the header ` +
      `in which clients send them back. \`pigeonhole migrate\` moves it into one of at most ${MAX_PARTITIONS}.`,
  );
}

/** @throws StartError */
function decodeMetadata(fields: readonly Buffer[], servers: string): Metadata {
  const numbers = new Map<string, number>();
  for (let i = 0; i < fields.length; i += 2)
    numbers.set(fields[i]!.toString(), Number(fields[i + 1]!.toString()));
  const format = numbers.get('format') ?? 0;
  if (format > FORMAT)
    throw new StartError(
      `${servers} holds format ${format}, made by a newer Pigeonhole; this one knows ${FORMAT}.`,
    );
  const [partitions, epoch] = [numbers.get('partitions'), numbers.get('epoch')];
  if (!partitions || !epoch) throw foreignMetadata(servers);
  return { partitions, epoch, hasBegun: numbers.has('begun') };
}
