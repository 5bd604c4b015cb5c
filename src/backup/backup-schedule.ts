import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { reportsForServer } from '../config/worker.js';
import { DatabaseError, StartError } from '../errors.js';
import { Counter, Gauge, meter } from '../meters.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { BackupFolder } from './backup-folder.js';

const lastSuccess = meter(
  new Gauge('backup_last_success_timestamp_seconds', 'When the last backup on a schedule was made.', 'max'),
);
const interval = meter(
  new Gauge('backup_interval_seconds', 'How long after a backup the next is to be made.', 'max'),
);
const failures = meter(new Counter('backup_failures_total', 'Backups on the schedule that failed.'));

/** Also how soon a clock that has moved is noticed. */
const LOOK_EVERY_MS = 10_000;
const RETRY_AFTER_MS = 600_000;

/**
 * Makes backups on a schedule.
 *
 * The names of the files in the folder say when backups were made, and nothing else is kept: so a restart, or another
 * process that takes over, goes on from the last one, and a folder that was emptied gets one at once. The clock is looked at
 * again and again, because a timer of a day would sleep through a computer's suspension; a file whose name is in the
 * future, which a clock that was wrong has left, does not count. Of several processes the first one makes them.
 */
@Injectable()
export class BackupSchedule implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Backup');
  private readonly folder: BackupFolder;
  private readonly isOn: boolean;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  /** Why the last one failed, if it did, and when. */
  private failure: { readonly at: number; readonly why: string } | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {
    this.folder = new BackupFolder(config.backupTo);
    this.isOn = config.backupTo !== '' && reportsForServer();
  }

  /** @throws StartError if there can be no backups */
  onModuleInit(): void {
    if (this.config.backupTo !== '' && !this.engine.capabilities.backup)
      throw new StartError('BACKUP_TO is for databases in a folder. Start the server without it.');
  }

  onApplicationBootstrap(): void {
    if (!this.isOn) return;
    interval.value = this.config.backupEvery / 1000;
    this.timer = setInterval(() => this.look(), Math.min(LOOK_EVERY_MS, this.config.backupEvery)).unref();
    this.look();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort(new DatabaseError('stopping', 'The server is shutting down.'));
    await this.running;
  }

  /** Whether backups are made on a schedule. */
  get isScheduled(): boolean {
    return this.config.backupTo !== '';
  }

  /** What is wrong with the backups, a sentence each. */
  get notes(): readonly string[] {
    if (!this.failure) return [];
    const { at, why } = this.failure;
    return [`The backup to ${this.config.backupTo} failed at ${new Date(at).toISOString()}: ${why}`];
  }

  private look(): void {
    this.running ??= this.makeIfDue().finally(() => (this.running = undefined));
  }

  private async makeIfDue(): Promise<void> {
    const now = Date.now();
    try {
      const last = await this.folder.lastBefore(now);
      lastSuccess.value = last === undefined ? undefined : last / 1000;
      const isLate = last === undefined || now - last >= this.config.backupEvery;
      if (isLate && !this.isPausing(now)) await this.make();
    } catch (error) {
      this.fail(now, error as Error);
    }
  }

  /** Whether it is too early to try again after a failure. A clock that was set back is no reason to wait for ever. */
  private isPausing(now: number): boolean {
    const passed = this.failure ? now - this.failure.at : Infinity;
    return passed >= 0 && passed < Math.min(RETRY_AFTER_MS, this.config.backupEvery);
  }

  private async make(): Promise<void> {
    const { path, copy } = await this.folder.add(this.engine, this.stopping.signal);
    this.failure = undefined;
    lastSuccess.value = copy.made / 1000;
    const entries = copy.entries.toLocaleString('en-US');
    this.logger.log(`Backup of ${entries} entries in ${path} (${copy.bytes} bytes), verified`);
    for (const name of await this.folder.removeAllBut(this.config.backupKeep)) {
      this.logger.log(`Removed the old backup ${name}`);
    }
  }

  private fail(at: number, error: Error): void {
    // There is one backup at a time: somebody downloads one. The next look tries again.
    if (this.stopping.signal.aborted || (error instanceof DatabaseError && error.code === 'busy')) return;
    if (this.isPausing(at)) return;
    failures.value++;
    this.failure = { at, why: error.message };
    this.logger.error(`The backup to ${this.config.backupTo} failed: ${error.message}`);
  }
}
