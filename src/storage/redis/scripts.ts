import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Script } from './cluster-client/script.js';

/*
 * What happens inside Redis, in its Lua: the files of the folder scripts/. A script runs alone, and Redis logs and replicates
 * its effects as one, so that each is one atomic step.
 *
 * Traps. Lua's numbers are doubles: counters are added by HINCRBY, which is exact and refuses overflow. A server whose
 * memory is full refuses a script's commands until its first write has been let through, so the first write of a put must be
 * one that it may refuse, and that of a removal one that it never does. Nothing is rolled back, so that all is decided
 * before anything is written.
 */

/** Makes the record of a new database. */
export const MAKE = script('make');
/** Asks what the user may do. */
export const RIGHTS = script('rights');
/** Does operations. */
export const WRITE = script('common', 'changing', 'write');
/** Removes what has expired. */
export const SWEEP = script('common', 'changing', 'sweep');
/** Reads a part of the ordered keys. */
export const PAGE = script('common', 'page');
/** Counts keys. */
export const COUNT = script('common', 'count');
/** Reads the change log. */
export const CHANGES = script('common', 'changes');

function script(...names: string[]): Script {
  const files = names.map((name) => new URL(`scripts/${name}.lua`, import.meta.url));
  const source = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
