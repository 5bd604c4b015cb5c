import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { requestSeconds } from '../http/server/request-meter.js';
import { readMeters, reading, type Reading } from '../meters.js';
import { StorageEngine, type EngineStats } from '../storage/storage-engine.js';
import { commitSeconds } from '../storage/storage-meters.js';
import { VERSION } from '../version.js';
import { Colleagues } from './colleagues.js';
import { inTime } from './in-time.js';
import { LastMinute, paceOf, type Pace } from './last-minute.js';
import type { Report } from './reports.js';

/** What all processes of the server count. */
export interface Collected {
  readonly readings: readonly Reading[];
  /** How requests went in the last minute. */
  readonly requests: Pace;
  /** How commits went in the last minute. */
  readonly commits: Pace;
  /** The readings as text for Prometheus. */
  text(): Promise<string>;
}

/** Collects what there is to count, when somebody asks. The library that writes it out is loaded only then. */
@Injectable()
export class Collector implements OnModuleDestroy {
  private readonly requests = new LastMinute(requestSeconds);
  private readonly commits = new LastMinute(commitSeconds);
  private readonly colleagues: Colleagues;
  private defaults: Promise<() => Promise<Reading[]>> | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {
    this.colleagues = new Colleagues(config.workers, () => this.report());
  }

  onModuleDestroy(): void {
    this.requests.stop();
    this.commits.stop();
    this.colleagues.stop();
  }

  /** Returns what all processes count, within some seconds whatever is wrong. */
  async collect(): Promise<Collected> {
    const { AggregatorRegistry } = (await import('prom-client')).default;
    const own = await this.report();
    const [others, store] = await Promise.all([
      this.colleagues.ask(own),
      inTime<Partial<EngineStats>>(() => this.engine.stats(), {}),
    ]);
    const reports = [own, ...others.reports];
    const merged = AggregatorRegistry.aggregate([
      ...reports.map(({ readings }) => readings as Reading[]),
      [...this.ofServer(others.silent), ...storeReadings(store)],
    ]);
    return {
      readings: (await merged.getMetricsAsJSON()) as unknown as Reading[],
      requests: paceOf(
        requestSeconds.bounds,
        reports.map((each) => each.requests),
      ),
      commits: paceOf(
        commitSeconds.bounds,
        reports.map((each) => each.commits),
      ),
      text: () => merged.metrics(),
    };
  }

  /** Returns what this process counts. */
  private async report(): Promise<Report> {
    this.defaults ??= observeProcess();
    const readings = [...readMeters(), ...(await (await this.defaults)())];
    return { readings, requests: this.requests.lately(), commits: this.commits.lately() };
  }

  /** Returns what is the same in each process. */
  private ofServer(silent: number): Reading[] {
    const { databaseUrl, workers } = this.config;
    const engine = databaseUrl.slice(0, databaseUrl.indexOf(':'));
    return [
      gauge('build_info', 'The version of the server, and its engine.', 1, { version: VERSION, engine }),
      gauge('workers', 'How many processes are to serve.', workers),
      gauge(
        'workers_silent',
        'How many of them did not answer this scrape: of those the figures are the last ones.',
        silent,
      ),
    ];
  }
}

/** Has the library watch the process, and returns what tells what it has seen. */
async function observeProcess(): Promise<() => Promise<Reading[]>> {
  const { collectDefaultMetrics, Registry } = (await import('prom-client')).default;
  const register = new Registry();
  collectDefaultMetrics({ register });
  return async () => {
    const seen = (await register.getMetricsAsJSON()) as unknown as Reading[];
    return seen.map((each) =>
      each.name === 'process_start_time_seconds' ? { ...each, aggregator: 'min' } : each,
    );
  };
}

function storeReadings({ oldestChange, ...stats }: Partial<EngineStats>): Reading[] {
  return [
    gauge('entries', 'Entries, with those that have expired and are not removed yet.', stats.entries),
    gauge('stored_bytes', 'Size of the store.', stats.storedBytes),
    gauge('room_bytes', 'Bytes that can be written before puts are refused.', stats.availableBytes),
    gauge('free_bytes', 'Bytes inside the store that are free for writes.', stats.freeBytes),
    gauge('log_bytes', 'Size of the change log.', stats.logBytes),
    gauge(
      'oldest_change_timestamp_seconds',
      'When the oldest change in the log was made.',
      oldestChange === undefined ? undefined : oldestChange / 1000,
    ),
  ];
}

function gauge(name: string, help: string, value: number | undefined, labels = {}): Reading {
  return reading(name, help, 'gauge', value === undefined ? [] : [{ labels, value }], 'first');
}
