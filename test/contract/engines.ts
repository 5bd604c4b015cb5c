import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { LmdbEngine } from '../../src/storage/lmdb/lmdb.engine.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import type { EngineFactory } from './rule.js';

export const MAX_SNAPSHOT_AGE = 600_000;

export const memory: EngineFactory = {
  make: (clock) => new MemoryEngine(clock),
  storedEntries: (engine) => (engine as MemoryEngine)['entries'].size,
};

export const lmdb: EngineFactory = {
  make: (clock, folder) =>
    new LmdbEngine(
      folder,
      { onFailure: mustNotFail, maxSnapshotAge: MAX_SNAPSHOT_AGE, watchLogBytes: 2 ** 20 },
      clock,
    ),
  restore: (file, folder) => copyFileSync(file, join(folder, 'data.mdb')),
  storedEntries: (engine) => (engine as LmdbEngine)['store'].entryCount(),
};

function mustNotFail(error: Error): void {
  throw error;
}
