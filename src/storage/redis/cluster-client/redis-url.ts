/** The parts of a DATABASE_URL of Redis or Valkey. */
export interface RedisUrl {
  /** Whether `seeds` are some of the servers of a cluster; otherwise they are the one server. */
  readonly cluster: boolean;
  readonly tls: boolean;
  readonly seeds: readonly HostPort[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The number of the database; a cluster has only 0. */
  readonly database: number;
  /** How many partitions a new database gets; an existing one keeps its own. */
  readonly partitions: number;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 6379;
/** No more primaries of a cluster are of use than there are partitions, and a listing reads every partition. */
const PARTITIONS = { server: 1, cluster: 256 };
const MAX_PARTITIONS = 16_384;
const FORM =
  /^redis(?<tls>s)?(?<cluster>\+cluster)?:\/\/(?:(?<username>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>[0-9]{1,4})?)?(?:\?partitions=(?<partitions>[0-9]{1,5}))?$/;
const HOST = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]\s,]+))(?::(?<port>[0-9]{1,5}))?$/;

/** The forms that `parseRedisUrl` accepts, for error messages. */
export const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database] or redis[s]+cluster://[user:password@]host:port,host:port[?partitions=n]';

/** The parts of `url`; undefined if it is malformed. */
export function parseRedisUrl(url: string): RedisUrl | undefined {
  const parts = FORM.exec(url)?.groups;
  if (!parts) return undefined;
  const cluster = parts['cluster'] !== undefined;
  const seeds = parts['hosts']!.split(',').map(parseHostPort);
  if (seeds.includes(undefined) || (!cluster && seeds.length > 1)) return undefined;
  if (cluster && parts['database'] !== undefined) return undefined;
  const partitions = Number(parts['partitions'] ?? PARTITIONS[cluster ? 'cluster' : 'server']);
  if (partitions < 1 || partitions > MAX_PARTITIONS) return undefined;
  try {
    return {
      cluster,
      tls: parts['tls'] !== undefined,
      seeds: seeds as HostPort[],
      username: parts['username'] ? decodeURIComponent(parts['username']) : undefined,
      password: parts['password'] ? decodeURIComponent(parts['password']) : undefined,
      database: Number(parts['database'] ?? 0),
      partitions,
    };
  } catch {
    return undefined; // a malformed escape
  }
}

/** Returns what everybody may see of the URL: the servers and the database. */
export function formatPlace({ tls, cluster, seeds, database }: RedisUrl): string {
  const scheme = `redis${tls ? 's' : ''}${cluster ? '+cluster' : ''}`;
  return `${scheme}://${seeds.map(formatHostPort).join(',')}${database === 0 ? '' : `/${database}`}`;
}

/** `host:port`, with an IPv6 address in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The inverse of `formatHostPort`; undefined if the text is malformed. */
export function parseHostPort(text: string): HostPort | undefined {
  const parts = HOST.exec(text)?.groups;
  const port = Number(parts?.['port'] ?? DEFAULT_PORT);
  if (!parts || port < 1 || port > 65_535) return undefined;
  return { host: (parts['ipv6'] ?? parts['host'])!, port };
}
