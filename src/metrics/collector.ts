import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { AppConfig } from '../config/app-config.js';
import { readMeters, reading, type Reading } from '../meters.js';
import { StorageEngine, type EngineStats } from '../storage/storage-engine.js';
import { commitSeconds } from '../storage/storage-meters.js';
import { VERSION } from '../version.js';
import { LastMinute, paceOf, type Pace } from './last-minute.js';

/** For how long the storage may keep a scrape waiting, milliseconds. */
const STORAGE_MS = 2_000;

/** What all processes of the server count. */
export interface Collected {
  readonly readings: readonly Reading[];
  /** How commits went in the last minute. */
  readonly commits: Pace;
  /** The readings as text for Prometheus. */
  text(): Promise<string>;
}

/** Collects what there is to count, when somebody asks. The library that writes it out is loaded only then. */
@Injectable()
export class Collector implements OnModuleDestroy {
  private readonly commits = new LastMinute(commitSeconds);
  private defaults: Promise<() => Promise<Reading[]>> | undefined;

  constructor(
    private readonly engine: StorageEngine,
    private readonly config: AppConfig,
  ) {}

  onModuleDestroy(): void {
    this.commits.stop();
  }

  async collect(): Promise<Collected> {
    const { AggregatorRegistry } = (await import('prom-client')).default;
    const merged = AggregatorRegistry.aggregate([await this.own(), await this.ofServer()]);
    const readings = (await merged.getMetricsAsJSON()) as unknown as Reading[];
    return {
      readings,
      commits: paceOf(commitSeconds.bounds, [this.commits.lately()]),
      text: () => merged.metrics(),
    };
  }

  /** Returns what this process counts. */
  private async own(): Promise<Reading[]> {
    this.defaults ??= observeProcess();
    return [...readMeters(), ...(await (await this.defaults)())];
  }

  /** Returns what is the same in each process. */
  private async ofServer(): Promise<Reading[]> {
    const { databaseUrl } = this.config;
    const engine = databaseUrl.slice(0, databaseUrl.indexOf(':'));
    return [
      reading('build_info', 'The version of the server, and its engine.', 'gauge', [
        { labels: { version: VERSION, engine }, value: 1 },
      ]),
      ...storeReadings(await this.storeStats()),
    ];
  }

  /** Returns the figures of the store; none if it cannot give them in time. */
  private async storeStats(): Promise<Partial<EngineStats>> {
    const over = new AbortController();
    const late = pause(STORAGE_MS, {}, { signal: over.signal, ref: false }).catch(() => ({}));
    try {
      return await Promise.race([this.engine.stats(), late]);
    } catch {
      return {};
    } finally {
      over.abort();
    }
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

function storeReadings(stats: Partial<EngineStats>): Reading[] {
  const gauge = (name: string, help: string, value: number | undefined) =>
    reading(name, help, 'gauge', value === undefined ? [] : [{ labels: {}, value }], 'first');
  return [
    gauge('entries', 'Entries, with those that have expired and are not removed yet.', stats.entries),
    gauge('stored_bytes', 'Size of the store.', stats.storedBytes),
    gauge('room_bytes', 'Bytes that can be written before puts are refused.', stats.availableBytes),
  ];
}
