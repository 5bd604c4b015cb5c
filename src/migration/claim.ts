import { StartError } from '../errors.js';
import { ALL_KEYS } from '../storage/key-range.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { MIGRATION } from '../storage/system-keyspace.js';

/** How the two databases are called where users see it: without credentials. */
export interface Names {
  readonly source: string;
  readonly target: string;
}

/** @throws StartError if the database cannot be left for the target */
export async function refuseSource(source: StorageEngine, { target }: Names): Promise<void> {
  const origin = (await source.system.get(MIGRATION))?.toString();
  if (origin !== undefined)
    throw new StartError(`The source is the target of an unfinished migration from ${origin}.`);
  const place = await source.fence();
  if (place !== undefined && place !== target)
    throw new StartError(
      `The source has moved to ${place}. Migrate from there, or take its fence away with --undo.`,
    );
}

/** What a target is at the beginning of a migration into it. */
interface Target {
  /** The source of the unfinished migration that is continued. */
  readonly mark: string | undefined;
  /** Whether it was left for the source once, and may have entries. */
  readonly comesBack: boolean;
}

/** @throws StartError if the target belongs to another migration, was left for another database, or has entries */
export async function refuseTarget(target: StorageEngine, { source }: Names): Promise<Target> {
  const mark = (await target.system.get(MIGRATION))?.toString();
  if (mark !== undefined && mark !== source)
    throw new StartError(
      `The target belongs to an unfinished migration from ${mark}. Finish that one, or name another target.`,
    );
  const place = await target.fence();
  if (place !== undefined && place !== source)
    throw new StartError(
      `The target has moved to ${place}, and comes back only from there, under that name. Nothing was changed.`,
    );
  const comesBack = place !== undefined;
  const entries = mark === undefined && !comesBack ? (await target.count(ALL_KEYS)).keys : 0;
  if (entries > 0)
    throw new StartError(`The target holds ${entries} entries. Name an empty one; nothing was changed.`);
  return { mark, comesBack };
}
