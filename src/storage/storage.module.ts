import { Logger, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { speaksForAll } from '../config/worker.js';
import { createEngine } from './engine-factory.js';
import { StartError } from '../errors.js';
import { MIGRATION, StorageEngine } from './storage-engine.js';

/** Long enough for the answers that are ready to leave. */
const LAST_ANSWERS_MS = 250;

/** The one engine that DATABASE_URL chooses: opened before the server listens, closed after the last request. */
@Module({
  providers: [
    {
      provide: StorageEngine,
      inject: [AppConfig],
      useFactory: ({ databaseUrl, maxSnapshotAge, watchLogBytes, waitReplicas, workers }: AppConfig) =>
        createEngine(databaseUrl, {
          maxSnapshotAge,
          watchLogBytes,
          waitReplicas,
          processes: workers,
          onFailure: endProcess,
          report: (line) => {
            if (speaksForAll()) new Logger('Storage').warn(line);
          },
        }),
    },
  ],
  exports: [StorageEngine],
})
export class StorageModule implements OnModuleInit, OnApplicationShutdown {
  constructor(private readonly engine: StorageEngine) {}

  async onModuleInit(): Promise<void> {
    await this.engine.open();
    const unfinished = (await this.engine.system.get(MIGRATION))?.toString();
    if (unfinished === undefined) return;
    await this.engine.close();
    throw new StartError(
      `The database is half of a migration from ${unfinished}. Run that to its end before a server uses it.`,
    );
  }

  onApplicationShutdown(): Promise<void> {
    return this.engine.close();
  }
}

/** After a failed sync nobody knows what the disk holds; a supervisor's restart finds the last good commit. */
function endProcess(error: Error): void {
  new Logger('Storage').fatal(
    `The database cannot be written any more, so the server ends: ${error.message}`,
  );
  setTimeout(() => process.exit(1), LAST_ANSWERS_MS);
}
