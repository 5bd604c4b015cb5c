/** Where a Redis or Valkey database is, as DATABASE_URL says. */
export interface RedisAddress {
  /** Several servers that share the keys, of which `seeds` are some. Otherwise one server. */
  readonly cluster: boolean;
  readonly tls: boolean;
  readonly seeds: readonly HostPort[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Of one server: the number of the database. */
  readonly database: number;
  /** Into how many partitions a database is divided when it is made; an existing one stays as it is. */
  readonly partitions: number;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 6379;
/** One server has no use for more than one. A cluster's are the ceiling of useful primaries, and what a listing reads. */
const PARTITIONS = { server: 1, cluster: 256 };
const MAX_PARTITIONS = 16_384;
const FORM =
  /^redis(?<tls>s)?(?<cluster>\+cluster)?:\/\/(?:(?<username>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>[0-9]{1,4})?)?(?:\?partitions=(?<partitions>[0-9]{1,5}))?$/;
const HOST = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]\s,]+))(?::(?<port>[0-9]{1,5}))?$/;

/** The forms that `parseRedisUrl` takes, for error messages. */
export const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database] or redis[s]+cluster://[user:password@]host:port,host:port[?partitions=n]';

/** What `url` says; undefined if it is malformed. */
export function parseRedisUrl(url: string): RedisAddress | undefined {
  const parts = FORM.exec(url)?.groups;
  if (!parts) return undefined;
  const cluster = parts['cluster'] !== undefined;
  const seeds = parts['hosts']!.split(',').map(parseHost);
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

/** `host:port`, an IPv6 address in brackets: the name of a server in maps, logs and errors. */
export function nameOf({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The reverse. */
export function parseHost(text: string): HostPort | undefined {
  const parts = HOST.exec(text)?.groups;
  const port = Number(parts?.['port'] ?? DEFAULT_PORT);
  if (!parts || port < 1 || port > 65_535) return undefined;
  return { host: (parts['ipv6'] ?? parts['host'])!, port };
}
