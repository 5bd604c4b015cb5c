import { afterAll, describe } from '@jest/globals';
import { RedisServer, running, type Credentials } from './redis-server.js';
import { certificate } from './redis-tls.js';
import { findProgram, requireProgram } from './requires.js';

export interface RedisOptions {
  /** The program: `redis-server` unless told otherwise, such as `valkey-server`. */
  readonly binary?: string;
  /** Further settings as on its command line, such as `['--appendfsync', 'always']`; they win over ours. */
  readonly args?: readonly string[];
  readonly auth?: Credentials;
  readonly tls?: boolean;
}

afterAll(() => Promise.all([...running].map((server) => server.stop())));

/** Starts one redis-server on a free loopback port; what a test file leaves running is stopped at its end. */
export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { binary = 'redis-server', args = [], auth, tls } = options;
  return RedisServer.start({ binary, args, auth, certificate: tls ? certificate() : undefined });
}

/**
 * A suite that needs Redis: once with redis-server, skipped visibly where that or redis-cli is missing, and once more with
 * valkey-server where that is installed.
 */
export function describeOnRedis(title: string, tests: (binary: string) => void): void {
  const missing = ['redis-server', 'redis-cli'].find((name) => findProgram(name) === undefined);
  requireProgram(missing ?? 'redis-server').describe(`${title}, on redis-server`, () =>
    tests('redis-server'),
  );
  if (findProgram('valkey-server')) describe(`${title}, on valkey-server`, () => tests('valkey-server'));
}
