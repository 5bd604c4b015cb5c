import { availableParallelism } from 'node:os';

import { hostOf, networkOf, originOf, parsePublicUrl } from './addresses.js';
import { parseDuration } from './duration.js';
import { file, list, oneOf, TRUE_OR_FALSE, wholeNumber, type Kind } from './setting-kinds.js';

export interface Setting<T = unknown> extends Kind<T> {
  /** The environment variable. `pigeonhole serve` has a flag of the same name. */
  readonly name: string;
  /** The default as a user would write it. Empty if nothing is the default. */
  readonly default: string;
  /** What the setting does, for the help and the documentation. */
  readonly meaning: string;
  /** Whether its values are for nobody to see. */
  readonly secret?: boolean;
}

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
const LOG_FORMATS = ['auto', 'text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Longer ones than this are in nobody's headers. */
const ADMIN_TOKEN = /^[\x21-\x7e]{16,1024}$/;
const MAX_WORKERS = 64;
const SECOND = 1_000;
const KIB = 2 ** 10;
const MIB = 2 ** 20;

/**
 * Declares every setting once, under the name of its field in `AppConfig`. The start of the server, its errors,
 * `pigeonhole serve --help` and the documentation read this table. Everything else is a constant.
 */
export const SETTINGS = {
  host: {
    name: 'HOST',
    default: '127.0.0.1',
    form: 'an IP address or host name',
    parse: hostOf,
    meaning: 'Address to listen on. One that others can reach needs a token, or ALLOW_ANONYMOUS=true.',
  },
  port: {
    name: 'PORT',
    default: '4000',
    ...wholeNumber(0, 65_535),
    meaning: 'Port to listen on; 0 takes any free one, which the log names.',
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    default: 'lmdb:./data',
    form: 'lmdb:<folder>, memory:, redis://… or redis+cluster://…',
    // The engines know their own URLs and check them.
    parse: (text) => text,
    meaning: 'Where the data is. A memory: database ends with the server.',
  },
  workers: {
    name: 'WORKERS',
    default: '1',
    form: `${wholeNumber(1, MAX_WORKERS).form}, or auto`,
    parse: (text) =>
      text === 'auto'
        ? Math.min(availableParallelism(), MAX_WORKERS)
        : wholeNumber(1, MAX_WORKERS).parse(text),
    meaning: 'How many processes serve, on one port and one database; auto is one for each processor.',
  },
  waitReplicas: {
    name: 'WAIT_REPLICAS',
    default: '0',
    ...wholeNumber(0, 5),
    meaning: 'In Redis: how many replicas must have a write before it is confirmed.',
  },
  adminToken: {
    name: 'ADMIN_TOKEN',
    default: '',
    form: 'at least 16 visible ASCII characters, without spaces',
    parse: (text) => (text === '' || ADMIN_TOKEN.test(text) ? text : undefined),
    meaning:
      'A token that may do everything, and makes others. With it, or with any other token, requests need one.',
    secret: true,
  },
  adminTokenFile: {
    name: 'ADMIN_TOKEN_FILE',
    default: '',
    form: 'a path',
    parse: (text) => text,
    meaning: 'A file that holds ADMIN_TOKEN, as secrets of containers come.',
  },
  tlsCert: {
    name: 'TLS_CERT',
    default: '',
    ...file('certificates in PEM'),
    meaning:
      'The certificate of the server, and those between it and its authority. With it the server speaks https.',
  },
  tlsKey: {
    name: 'TLS_KEY',
    default: '',
    ...file('a key in PEM'),
    meaning: 'The private key of TLS_CERT, without a passphrase.',
  },
  tlsClientCa: {
    name: 'TLS_CLIENT_CA',
    default: '',
    ...file('certificates in PEM'),
    meaning: 'The authority of which every client then needs a certificate.',
  },
  allowAnonymous: {
    name: 'ALLOW_ANONYMOUS',
    default: 'false',
    ...TRUE_OR_FALSE,
    meaning:
      'Lets the server listen where others reach it although there is no token, so that everybody can read and write.',
  },
  allowedHosts: {
    name: 'ALLOWED_HOSTS',
    default: '',
    ...list('host names', (name) => hostOf(name.replace(/\.$/, ''))),
    meaning: 'Names by which clients may reach the server, beside IP addresses, localhost and HOST.',
  },
  publicUrl: {
    name: 'PUBLIC_URL',
    default: '',
    form: 'an http or https URL like https://example.com/pigeon/, without query and fragment',
    parse: parsePublicUrl,
    meaning:
      'Where clients reach the server, through a proxy; addresses in answers begin with it. Its host is allowed.',
  },
  trustedProxies: {
    name: 'TRUSTED_PROXIES',
    default: '',
    ...list('IP addresses and networks like 10.0.0.0/8', networkOf),
    meaning: 'Proxies that are believed when they say, in X-Forwarded-For, whose request they pass on.',
  },
  corsOrigins: {
    name: 'CORS_ORIGINS',
    default: '',
    ...list('origins like https://app.example', originOf),
    meaning: 'Origins whose pages may read and write from a browser.',
  },
  maxValueBytes: {
    name: 'MAX_VALUE_BYTES',
    default: String(16 * MIB),
    ...wholeNumber(1, 256 * MIB, 'bytes'),
    meaning: 'Largest value.',
  },
  maxPatchBytes: {
    name: 'MAX_PATCH_BYTES',
    default: String(MIB),
    ...wholeNumber(1, 16 * MIB, 'bytes'),
    meaning: 'Largest merge patch, and largest JSON value that one can change.',
  },
  maxSnapshotAge: {
    name: 'MAX_SNAPSHOT_AGE',
    default: '10m',
    form: 'a duration like 90s, 10m or 2h',
    parse: (text) => {
      const duration = parseDuration(text);
      return duration !== undefined && duration >= SECOND ? duration : undefined;
    },
    meaning:
      'How long a read may take before it is ended, so that it does not keep overwritten data for ever.',
  },
  maxSnapshotBytes: {
    name: 'MAX_SNAPSHOT_BYTES',
    default: 'auto',
    form: `${wholeNumber(MIB, 2 ** 40, 'bytes').form}, or auto`,
    parse: (text) => (text === 'auto' ? text : wholeNumber(MIB, 2 ** 40, 'bytes').parse(text)),
    meaning:
      'How much overwritten data a read may keep before it is ended; auto is a quarter of the free disk, at least 1 GiB.',
  },
  maxWatchers: {
    name: 'MAX_WATCHERS',
    default: '1000',
    ...wholeNumber(0, 100_000),
    meaning: 'How many clients may watch at once.',
  },
  watchLogBytes: {
    name: 'WATCH_LOG_BYTES',
    default: String(64 * MIB),
    ...wholeNumber(64 * KIB, 64 * 1024 * MIB, 'bytes'),
    meaning:
      'How large the log of changes, from which watchers resume and which is the history of every key, may grow.',
  },
  idempotencyTtl: {
    name: 'IDEMPOTENCY_TTL',
    default: '24h',
    form: 'a duration like 10m, 24h or 7d, at least 1s',
    parse: (text) => {
      const duration = parseDuration(text);
      return duration !== undefined && duration >= SECOND ? duration : undefined;
    },
    meaning: 'How long the answer to a write with an Idempotency-Key is kept, which a repeat then gets.',
  },
  idempotencyBytes: {
    name: 'IDEMPOTENCY_BYTES',
    default: String(16 * MIB),
    ...wholeNumber(4 * MIB, 4096 * MIB, 'bytes'),
    meaning:
      'How many bytes such answers may take together; the oldest go first. One takes a quarter at most.',
  },
  backupTo: {
    name: 'BACKUP_TO',
    default: '',
    form: 'the path of a folder',
    parse: (path) => path,
    meaning: 'Where backups are made on a schedule; none are without it.',
  },
  backupEvery: {
    name: 'BACKUP_EVERY',
    default: '24h',
    form: 'a duration like 30m, 24h or 7d, at least 1s',
    parse: (text) => {
      const duration = parseDuration(text);
      return duration !== undefined && duration >= SECOND ? duration : undefined;
    },
    meaning: 'How long after one backup the next is made.',
  },
  backupKeep: {
    name: 'BACKUP_KEEP',
    default: '7',
    ...wholeNumber(1, 10_000),
    meaning: 'How many backups are kept; the oldest goes when a new one has been verified.',
  },
  scrubEvery: {
    name: 'SCRUB_EVERY',
    default: '7d',
    form: 'a duration like 12h or 7d, or 0',
    parse: (text) => {
      const duration = text === '0' ? 0 : parseDuration(text);
      return duration === 0 || duration! >= SECOND ? duration : undefined;
    },
    meaning:
      'How often the data folder is read through in the background, slowly, to find what the disk has damaged; 0 is never.',
  },
  shutdownDelay: {
    name: 'SHUTDOWN_DELAY',
    default: '0',
    form: 'a duration up to 10m like 5s, or 0',
    parse: (text) => {
      const duration = text === '0' ? 0 : parseDuration(text);
      return duration !== undefined && duration <= 10 * 60 * SECOND ? duration : undefined;
    },
    meaning:
      'How long requests are still taken after a signal to stop, so that load balancers can find out by /health/ready.',
  },
  logLevel: {
    name: 'LOG_LEVEL',
    default: 'info',
    ...oneOf(LOG_LEVELS),
    meaning: 'How much is logged; debug includes ACCESS_LOG.',
  },
  logFormat: {
    name: 'LOG_FORMAT',
    default: 'auto',
    ...oneOf(LOG_FORMATS),
    meaning:
      'How it is logged; auto is text for people on a terminal, and JSON, one object a line, elsewhere.',
  },
  accessLog: {
    name: 'ACCESS_LOG',
    default: 'false',
    ...TRUE_OR_FALSE,
    meaning: 'Logs a line for every request, never a value, a query or a token.',
  },
} satisfies Record<string, Setting>;
