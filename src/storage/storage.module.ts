import { Logger, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { reportsForServer } from '../config/worker.js';
import { createEngine } from './engine-factory.js';
import { StartError } from '../errors.js';
import { MIGRATION, StorageEngine } from './storage-engine.js';

/** Time for responses that are ready to be sent. */
const EXIT_DELAY_MS = 250;

/** Provides the engine that DATABASE_URL names, opens it before the server listens and closes it after the last request. */
@Module({
  providers: [
    {
      provide: StorageEngine,
      inject: [AppConfig],
      useFactory: (config: AppConfig) =>
        createEngine(config.databaseUrl, {
          maxSnapshotAge: config.maxSnapshotAge,
          maxSnapshotBytes: config.maxSnapshotBytes,
          watchLogBytes: config.watchLogBytes,
          waitReplicas: config.waitReplicas,
          processes: config.workers,
          onFailure: endProcess,
          onFault: (text) => new Logger('Storage').error(text),
          report: (line) => {
            if (reportsForServer()) new Logger('Storage').warn(line);
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
    const source = (await this.engine.system.get(MIGRATION))?.toString();
    if (source === undefined) return;
    await this.engine.close();
    throw new StartError(
      `The database is the target of an unfinished migration from ${source}. Finish that before a server uses it.`,
    );
  }

  onApplicationShutdown(): Promise<void> {
    return this.engine.close();
  }
}

/** Ends the process, because after a failed sync nobody knows what the disk holds. A restart finds the last commit. */
function endProcess(error: Error): void {
  new Logger('Storage').fatal(
    `The database cannot be written any more, so the server ends: ${error.message}`,
  );
  setTimeout(() => process.exit(1), EXIT_DELAY_MS);
}
