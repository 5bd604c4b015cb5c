import { Injectable } from '@nestjs/common';
import { BackupSchedule } from '../backup/backup-schedule.js';
import type { DatabaseError } from '../errors.js';
import { isStopping } from '../process.js';
import { FenceWatch } from '../storage/fence-watch.js';
import { StorageEngine, type EngineState } from '../storage/storage-engine.js';

/** Whether one part of the server can do its work. */
export interface PartHealth {
  readonly status: 'up' | 'down';
  /** What is wrong, or makes this deployment promise less than it could, each in one sentence; absent if nothing does. */
  readonly notes?: readonly string[];
}

/** Whether requests can be expected to succeed, in the form of `@nestjs/terminus`. */
export interface HealthReport {
  readonly status: 'ok' | 'error';
  /** The parts that are up. */
  readonly info: Readonly<Record<string, PartHealth>>;
  /** The parts that are down. */
  readonly error: Readonly<Record<string, PartHealth>>;
  /** All parts. */
  readonly details: Readonly<Record<string, PartHealth>>;
}

/** Tells whether this process can be sent requests. */
@Injectable()
export class Health {
  private looking: Promise<EngineState> | undefined;
  private moved: DatabaseError | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly backups: BackupSchedule,
    fence: FenceWatch,
  ) {
    fence.follow((refusal) => (this.moved = refusal));
  }

  /** Returns the report of this moment, within 2 s. */
  async report(): Promise<HealthReport> {
    const { ready, notes } = await this.state();
    return reportOf({
      server: isStopping() ? partOf(false, ['The server is shutting down.']) : partOf(true, []),
      database: this.moved ? partOf(false, [this.moved.detail, ...notes]) : partOf(ready, notes),
      // A backup that failed is no reason to send requests elsewhere.
      ...(this.backups.isScheduled && { backup: partOf(true, this.backups.notes) }),
    });
  }

  /** Returns the state of the engine. Those that ask at the same time share a look, so that they cannot wear out a remote one. */
  private state(): Promise<EngineState> {
    this.looking ??= Promise.resolve(this.engine.state()).finally(() => (this.looking = undefined));
    return this.looking;
  }
}

function partOf(isUp: boolean, notes: readonly string[]): PartHealth {
  return { status: isUp ? 'up' : 'down', ...(notes.length > 0 && { notes }) };
}

function reportOf(details: Readonly<Record<string, PartHealth>>): HealthReport {
  const having = (wanted: PartHealth['status']) =>
    Object.fromEntries(Object.entries(details).filter(([, { status }]) => status === wanted));
  const error = having('down');
  return { status: Object.keys(error).length === 0 ? 'ok' : 'error', info: having('up'), error, details };
}
