import { Injectable } from '@nestjs/common';
import type { Access } from '../auth/access.js';
import { AppConfig } from '../config/app-config.js';
import { Health, type HealthReport } from '../health/health.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { VERSION } from '../version.js';
import { Collector, type Collected } from './collector.js';
import { Figures } from './figures.js';
import type { Pace } from './last-minute.js';
import { NewestChanges, type ShownChange } from './newest-changes.js';

/**
 * How a server is doing, for the console and for people. Times are RFC 3339, durations seconds. A part is null for a token
 * with a namespace, which it does not concern, and a member of it where the engine cannot know.
 */
export interface Stats {
  readonly version: string;
  /** The scheme of DATABASE_URL. */
  readonly engine: string;
  /** When the oldest process that serves was started. */
  readonly started: string;
  /** The time of the database. */
  readonly now: string;
  readonly health: HealthReport;
  /** The newest first; null for a token that may not read, and if the storage does not tell them in time. */
  readonly changes: readonly ShownChange[] | null;
  readonly workers: Workers | null;
  readonly store: Store | null;
  readonly log: Log | null;
  readonly requests: Requests | null;
  readonly writes: Writes | null;
  readonly watch: Watch | null;
  readonly access: AccessFigures | null;
  readonly backup: Backup | null;
  readonly tls: Tls | null;
}

interface Workers {
  readonly configured: number;
  /** How many are not in the figures, or only with their last ones. */
  readonly silent: number;
}

interface Store {
  readonly entries: number | null;
  readonly bytes: number | null;
  /** Bytes that can be written before puts are refused. */
  readonly roomBytes: number | null;
  readonly freeBytes: number | null;
  readonly pinnedBytes: number | null;
  readonly scans: number;
  /** Damaged records that were met since the start. */
  readonly corruptRecords: number;
}

interface Log {
  readonly bytes: number | null;
  readonly oldest: string | null;
}

interface Requests extends Pace {
  readonly total: number;
  readonly inFlight: number;
}

interface Writes {
  readonly puts: number;
  readonly deletes: number;
  readonly expiries: number;
  readonly conditionsFailed: number;
  readonly queuedBytes: number;
  readonly commits: Pace;
}

interface Watch {
  readonly watchers: number;
  readonly resets: number;
  readonly cut: number;
}

interface AccessFigures {
  readonly failures: number;
  readonly limited: number;
}

interface Backup {
  readonly last: string | null;
  readonly failures: number;
}

interface Tls {
  readonly expires: string | null;
}

/** What concerns the whole database. */
type Parts = Omit<Stats, 'version' | 'engine' | 'started' | 'now' | 'health' | 'changes'>;

/** Tells how the server is doing, in all its processes. */
@Injectable()
export class StatsReport {
  constructor(
    private readonly engine: StorageEngine,
    private readonly health: Health,
    private readonly collector: Collector,
    private readonly config: AppConfig,
    private readonly changes: NewestChanges,
  ) {}

  /** Returns the figures that concern who asks; all of them where nobody needs a token. */
  async of(access: Access | undefined): Promise<Stats> {
    const [health, collected, changes] = await Promise.all([
      this.health.report(),
      this.collector.collect(),
      this.changes.shownTo(access),
    ]);
    const figures = new Figures(collected.readings);
    const isOfAll = (access?.record.namespace ?? '') === '';
    return {
      version: VERSION,
      engine: this.config.databaseUrl.slice(0, this.config.databaseUrl.indexOf(':')),
      started: new Date(figures.of('process_start_time_seconds')! * 1000).toISOString(),
      now: new Date(this.engine.now()).toISOString(),
      health,
      changes,
      ...(isOfAll ? this.parts(figures, collected) : NONE),
    };
  }

  private parts(figures: Figures, { requests, commits }: Collected): Parts {
    return {
      workers: {
        configured: this.config.workers,
        silent: figures.of('pigeonhole_workers_silent') ?? 0,
      },
      ...storeOf(figures),
      requests: {
        total: figures.sum('pigeonhole_http_requests_total'),
        inFlight: figures.sum('pigeonhole_http_requests_in_flight'),
        ...requests,
      },
      writes: writesOf(figures, commits),
      watch: {
        watchers: figures.sum('pigeonhole_watchers'),
        resets: figures.sum('pigeonhole_watch_resets_total'),
        cut: figures.sum('pigeonhole_watch_cut_total'),
      },
      access: {
        failures: figures.sum('pigeonhole_auth_failures_total'),
        limited: figures.sum('pigeonhole_rate_limited_total'),
      },
      backup: {
        last: figures.time('pigeonhole_backup_last_success_timestamp_seconds'),
        failures: figures.sum('pigeonhole_backup_failures_total'),
      },
      tls: { expires: figures.time('pigeonhole_tls_expiry_timestamp_seconds') },
    };
  }
}

function storeOf(figures: Figures): { readonly store: Store; readonly log: Log } {
  return {
    store: {
      entries: figures.of('pigeonhole_entries'),
      bytes: figures.of('pigeonhole_stored_bytes'),
      roomBytes: figures.of('pigeonhole_room_bytes'),
      freeBytes: figures.of('pigeonhole_free_bytes'),
      pinnedBytes: figures.of('pigeonhole_pinned_bytes'),
      scans: figures.sum('pigeonhole_scans_active'),
      corruptRecords: figures.sum('pigeonhole_corrupt_records_total'),
    },
    log: {
      bytes: figures.of('pigeonhole_log_bytes'),
      oldest: figures.time('pigeonhole_oldest_change_timestamp_seconds'),
    },
  };
}

function writesOf(figures: Figures, commits: Pace): Writes {
  const changes = (kind: string) => figures.sum('pigeonhole_changes_total', { kind });
  return {
    puts: changes('put'),
    deletes: changes('delete'),
    expiries: changes('expire'),
    conditionsFailed: figures.sum('pigeonhole_conditions_failed_total'),
    queuedBytes: figures.sum('pigeonhole_write_queue_bytes'),
    commits,
  };
}

const NONE = {
  workers: null,
  store: null,
  log: null,
  requests: null,
  writes: null,
  watch: null,
  access: null,
  backup: null,
  tls: null,
};
