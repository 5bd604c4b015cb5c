import { afterAll, describe } from '@jest/globals';
import { RedisServer, running, type Credentials } from './redis-server.js';
import { REDIS_PROGRAM } from './redis-program.js';
import { certificate as makeCertificate } from './certificates.js';
import { findProgram, requireProgram, type Describe } from './requires.js';
import type { ServerTime } from './server-time.js';

export interface RedisOptions {
  /** The program; by default the one that is installed (redis-program.ts). */
  readonly binary?: string;
  /** Settings for its command line, such as `['--appendfsync', 'always']`, which override ours. */
  readonly args?: readonly string[];
  readonly auth?: Credentials;
  readonly tls?: boolean;
  /** The server's clock; this computer's if absent. */
  readonly time?: ServerTime;
  /** Environment variables beside those of this process. */
  readonly env?: Record<string, string>;
}

const CLIENTS = ['redis-cli', 'valkey-cli'];

afterAll(() => Promise.all([...running].map((server) => server.stop())));

/** Starts a server on a free loopback port. A server that is still running at the end of a test file is stopped. */
export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { binary = REDIS_PROGRAM.binary, args = [], auth, tls, time, env } = options;
  const certificate = tls ? makeCertificate() : undefined;
  return RedisServer.start({ binary, args, auth, certificate, env: { ...time?.env, ...env } });
}

/**
 * Declares a suite on the server that is installed, whose name and version are in its title, or one that is skipped visibly.
 * @param suite how a suite is declared that can run
 */
export function describeOnRedis(
  title: string,
  tests: (binary: string) => void,
  suite: Describe = describe,
): void {
  const { binary, name } = REDIS_PROGRAM;
  if (name === undefined) requireProgram(binary).describe(title, () => tests(binary));
  else if (!CLIENTS.some(findProgram)) requireProgram(CLIENTS[0]!).describe(title, () => tests(binary));
  else suite(`${title}, on ${name}`, () => tests(binary));
}
