import { Logger, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { reportsForServer } from '../config/worker.js';
import { createEngine } from './engine-factory.js';
import { StartError } from '../errors.js';
import { FenceWatch } from './fence-watch.js';
import { StorageEngine } from './storage-engine.js';
import { MIGRATION } from './system-keyspace.js';

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
          idempotencyTtl: config.idempotencyTtl,
          idempotencyBytes: config.idempotencyBytes,
          scrubEvery: reportsForServer() ? config.scrubEvery : 0,
          waitReplicas: config.waitReplicas,
          processes: config.workers,
          onFailure: endProcess,
          onFault: (text) => new Logger('Storage').error(text),
          report: (line) => {
            if (reportsForServer()) new Logger('Storage').warn(line);
          },
        }),
    },
    FenceWatch,
  ],
  exports: [StorageEngine, FenceWatch],
})
export class StorageModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly engine: StorageEngine,
    private readonly fenceWatch: FenceWatch,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.engine.open();
    const refusal = await this.refusal();
    if (refusal === undefined) return this.fenceWatch.start();
    await this.engine.close();
    throw new StartError(refusal);
  }

  private async refusal(): Promise<string | undefined> {
    const source = (await this.engine.system.get(MIGRATION))?.toString();
    if (source !== undefined)
      return `The database is the target of an unfinished migration from ${source}. Finish that before a server uses it.`;
    const place = await this.engine.fence();
    if (place === undefined) return undefined;
    return `The database has moved to ${place}. Start the server there, or see \`pigeonhole migrate --help\` on how to come back.`;
  }

  onApplicationShutdown(): Promise<void> {
    this.fenceWatch.stop();
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
