import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';

/** Opens the LMDB files in `folder`, which are created if there are none. */
export function openRoot(folder: string, readOnly = false): RootDatabase<Buffer, string> {
  return open<Buffer, string>({
    path: folder,
    readOnly,
    noSubdir: false,
    encoding: 'binary',
    overlappingSync: false,
    cache: false,
    compression: false,
    maxReaders: 1024,
    maxDbs: 8,
    mapSize: 64 * 2 ** 30,
    // GroupCommit batches already. The library's own batching would delay each commit by a turn of the event loop, and
    // a failed commit would reject a promise that no caller can catch.
    eventTurnBatching: false,
    // What a transaction's callback has decided comes before what the writing thread does after it (store.ts).
    strictAsyncOrder: true,
    // Of files that it creates. The cast is for this, which the library's types do not have.
    permissionsMode: 0o600,
  } as RootDatabaseOptionsWithPath);
}
