import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Script } from './cluster-client/connection.js';

/*
 * The scripts that run inside Redis, in its Lua: the files of the folder scripts/. Redis runs nothing else meanwhile, and
 * logs and replicates the effects of a script as one, so each script is one atomic step.
 *
 * Traps. Lua's numbers are doubles, so counters are added by HINCRBY, which is exact and refuses an overflow. A server whose
 * memory is full refuses a script's writes until one of them was allowed; so the first write of a put must be a command that
 * may be refused, and the first write of a removal one that never is. Nothing is rolled back, so a script decides everything
 * before it writes anything.
 */

export const ACL_CHECK = load('acl-check');
export const CREATE = load('create');
export const BEGIN = load('begin');
export const WRITE = load('common', 'values', 'common-write', 'plain', 'write');
export const WRITE_PAST_FENCE = load('common', 'pass-fence', 'values', 'common-write', 'plain', 'write');
export const WRITE_ONCE = load('common', 'values', 'common-write', 'answers', 'once', 'write');
export const RECALL = load('common', 'answers', 'recall');
export const FENCE = load('fence');
export const SYSTEM = load('system');
export const SWEEP = load('common', 'values', 'common-write', 'sweep');
export const PAGE = load('common-read', 'values', 'page');
export const SIZES = load('values', 'sizes');
export const COUNT = load('common-read', 'count');
export const CHANGES = load('common', 'changes');
export const NEWEST = load('common', 'newest');
export const HISTORY = load('common', 'values', 'history');
export const REMOVALS = load('common', 'removals');
export const MOMENT = load('common', 'moment');

/** The script that consists of the files `names`, one after the other. */
function load(...names: string[]): Script {
  const files = names.map((name) => new URL(`scripts/${name}.lua`, import.meta.url));
  const source = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
