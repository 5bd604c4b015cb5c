import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';

import { StartError } from '../errors.js';
import { parseDuration } from './duration.js';
import { applyEnvironment, badSetting, FromEnvironment, knownSettings } from './setting.js';
import { isFQDN, Validator } from './validation.js';

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
const MAX_WORKERS = 64;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The settings, each with its default; the environment overrides them. Everything else is a constant. */
export class AppConfig {
  /** Address to listen on. Another than loopback is refused unless ALLOW_ANONYMOUS is true. */
  @FromEnvironment('HOST', 'an IP address or host name', (text) => (isHostName(text) ? text : undefined))
  readonly host: string = '127.0.0.1';

  /** Port to listen on; 0 takes any free one. */
  @FromEnvironment('PORT', 'a number from 0 to 65535', (text) => wholeNumber(text, 0, 65_535))
  readonly port: number = 4000;

  /** Where the data is: `lmdb:<folder>`, `memory:`, `redis://…` or `redis+cluster://…`; storage/engine-factory.ts has the forms. */
  @FromEnvironment('DATABASE_URL', 'a URL of one of the engines', (text) => text)
  readonly databaseUrl: string = 'lmdb:./data';

  /** Lets everybody who can reach the server read and write. Needed on another address than loopback. */
  @FromEnvironment('ALLOW_ANONYMOUS', 'true or false', flag)
  readonly allowAnonymous: boolean = false;

  /** Names by which browsers may reach the server, beside IP addresses, localhost and HOST. */
  @FromEnvironment('ALLOWED_HOSTS', 'host names separated by commas', hostNames)
  readonly allowedHosts: readonly string[] = [];

  /** Origins whose pages may read and write from a browser, such as `https://app.example`. */
  @FromEnvironment('CORS_ORIGINS', 'origins like https://app.example separated by commas', origins)
  readonly corsOrigins: readonly string[] = [];

  /** Largest value, bytes. */
  @FromEnvironment('MAX_VALUE_BYTES', 'a number of bytes from 1 to 268435456', (text) =>
    wholeNumber(text, 1, 256 * 2 ** 20),
  )
  readonly maxValueBytes: number = 16 * 2 ** 20;

  /** After how long a long read is broken off, so that it does not keep overwritten pages for ever; milliseconds. */
  @FromEnvironment('MAX_SNAPSHOT_AGE', 'a duration like 90s, 10m or 2h', parseDuration)
  readonly maxSnapshotAge: number = 600_000;

  /** How many clients may watch at once. */
  @FromEnvironment('MAX_WATCHERS', 'a number from 0 to 100000', (text) => wholeNumber(text, 0, 100_000))
  readonly maxWatchers: number = 1000;

  /** How large the log of changes may grow, from which watchers resume; bytes. */
  @FromEnvironment('WATCH_LOG_BYTES', 'a number of bytes from 65536 to 4294967296', (text) =>
    wholeNumber(text, 65_536, 4 * 2 ** 30),
  )
  readonly watchLogBytes: number = 64 * 2 ** 20;

  /** In Redis: how many replicas have to have a write before it is answered. */
  @FromEnvironment('WAIT_REPLICAS', 'a number from 0 to 5', (text) => wholeNumber(text, 0, 5))
  readonly waitReplicas: number = 0;

  /** How many processes serve requests; `auto` is one for each processor. */
  @FromEnvironment('WORKERS', `a number from 1 to ${MAX_WORKERS}, or auto`, (text) =>
    text === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : wholeNumber(text, 1, MAX_WORKERS),
  )
  readonly workers: number = 1;

  /** How much is logged: `debug` adds a line for every request. */
  @FromEnvironment('LOG_LEVEL', `one of ${LOG_LEVELS.join(', ')}`, (text) =>
    LOG_LEVELS.find((level) => level === text),
  )
  readonly logLevel: LogLevel = 'info';
}

/** What of a limit for the whole server falls to one of its processes. */
export function shareOf(limit: number, { workers }: Pick<AppConfig, 'workers'>): number {
  return Math.ceil(limit / workers);
}

/** Name and form of every setting. */
export const SETTINGS = knownSettings();

/**
 * The configuration that `environment` asks for.
 * @throws StartError in one line that names the setting and the accepted form
 */
export function loadConfig(environment: NodeJS.ProcessEnv): AppConfig {
  const config = new AppConfig();
  refuseUnbuilt(environment);
  const given = applyEnvironment(config, environment);
  const [failed] = new Validator().validateSync(config);
  if (failed) throw badSetting(Object.values(failed.constraints!)[0]!, given.get(failed.property));
  if (!isLoopback(config.host) && !config.allowAnonymous) {
    throw new StartError(
      `HOST ${config.host} can be reached by others, and everybody who reaches it could read and write. ` +
        'Set ALLOW_ANONYMOUS=true if that is what you want, or listen on 127.0.0.1.',
    );
  }
  return config;
}

/** Settings that are to come. Whoever sets one believes that the server is protected, or more, than it is. */
const UNBUILT = ['ADMIN_TOKEN', 'ADMIN_TOKEN_FILE', 'TLS_CERT', 'TLS_KEY'];

function refuseUnbuilt(environment: NodeJS.ProcessEnv): void {
  const set = UNBUILT.find((name) => (environment[name] ?? '') !== '');
  if (set !== undefined)
    throw new StartError(`${set} is not available in this version. Start the server without it.`);
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isHostName(text: string): boolean {
  return isIP(text) !== 0 || isFQDN(text, { require_tld: false });
}

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  return value >= least && value <= most ? value : undefined;
}

function flag(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

function origins(text: string): string[] | undefined {
  const given = text.split(',').map((origin) => origin.trim());
  return given.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin)
    ? given
    : undefined;
}

function hostNames(text: string): string[] | undefined {
  const names = text.split(',').map((name) => name.trim().toLowerCase().replace(/\.$/, ''));
  return names.every(isHostName) ? names : undefined;
}
