import { afterAll, describe } from '@jest/globals';
import { RedisServer, running, type Credentials } from './redis-server.js';
import { certificate as makeCertificate } from './redis-tls.js';
import { findProgram, requireProgram, type Describe } from './requires.js';
import type { ServerTime } from './server-time.js';

export interface RedisOptions {
  /** The program, such as `valkey-server`; `redis-server` by default. */
  readonly binary?: string;
  /** Settings for its command line, such as `['--appendfsync', 'always']`, which override ours. */
  readonly args?: readonly string[];
  readonly auth?: Credentials;
  readonly tls?: boolean;
  /** The server's clock; this computer's if absent. */
  readonly time?: ServerTime;
}

afterAll(() => Promise.all([...running].map((server) => server.stop())));

/** Starts a server on a free loopback port. A server that is still running at the end of a test file is stopped. */
export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { binary = 'redis-server', args = [], auth, tls, time } = options;
  const certificate = tls ? makeCertificate() : undefined;
  return RedisServer.start({ binary, args, auth, certificate, env: time?.env });
}

/**
 * Declares a suite on redis-server, which is skipped visibly if that or redis-cli is missing, and the same suite on
 * valkey-server if that is installed.
 * @param suite how a suite is declared that can run
 */
export function describeOnRedis(
  title: string,
  tests: (binary: string) => void,
  suite: Describe = describe,
): void {
  const missing = ['redis-server', 'redis-cli'].find((name) => findProgram(name) === undefined);
  const onRedis = missing === undefined ? suite : requireProgram(missing).describe;
  onRedis(`${title}, on redis-server`, () => tests('redis-server'));
  if (findProgram('valkey-server')) suite(`${title}, on valkey-server`, () => tests('valkey-server'));
}
