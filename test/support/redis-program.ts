import { spawnSync } from 'node:child_process';
import { findProgram } from './requires.js';

/** The server on which everything of Redis is tested. */
export interface RedisProgram {
  /** The program, as a path or as PATH has it. */
  readonly binary: string;
  /** What it is, such as `Valkey 8.0.1`; undefined if there is none. */
  readonly name: string | undefined;
  /** `Redis` or `Valkey`, as messages call it. */
  readonly product: string;
}

/** valkey-server where it is installed, which new users have, else redis-server; REDIS_SERVER names another. */
export const REDIS_PROGRAM: RedisProgram = findRedis();

function findRedis(): RedisProgram {
  const chosen = process.env['REDIS_SERVER'];
  const binary =
    chosen ?? ['valkey-server', 'redis-server'].find(findProgram) ?? 'valkey-server or redis-server';
  const said = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '';
  // `Valkey server v=8.0.1 sha=…`, and `Redis server v=…`
  const [, kind, version] = /^(\w+) server v=(\S+)/.exec(said) ?? [];
  if (chosen !== undefined && kind === undefined)
    throw new Error(`REDIS_SERVER=${chosen} is no Redis and no Valkey`);
  return { binary, name: kind && `${kind} ${version}`, product: kind ?? 'Redis' };
}
