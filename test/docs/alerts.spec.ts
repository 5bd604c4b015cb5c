import { expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from '../support/built.js';
import { requireProgram } from '../support/requires.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { blocksOf, pageAt } from './pages.js';

/* When the shipped alerts fire and when they do not, as the tool of Prometheus reads them, over days if need be. */

const RULES = resolve('docs/operations/alerts.yml');
const { path: promtool, describe } = requireProgram('promtool');
const MIB = 2 ** 20;

interface Case {
  readonly alert: string;
  readonly when: string;
  /** A value a minute, in the notation of promtool, by the metric and its own labels. */
  readonly series: Readonly<Record<string, string>>;
  /** When it has to fire, and when not. */
  readonly fires?: readonly string[];
  readonly silent?: readonly string[];
}

/** Requests of one answer, so many a minute. */
const requests = (route: string, code: string) =>
  `pigeonhole_http_requests_total{method="GET",route="${route}",code="${code}"}`;

const CASES: readonly Case[] = [
  {
    alert: 'PigeonholeDiskFillsUp',
    when: 'a disk of 100 GB loses 100 MB a minute',
    series: { pigeonhole_room_bytes: '100e9-100e6x600' },
    silent: ['80m'],
    fires: ['2h', '8h'],
  },
  {
    alert: 'PigeonholeDiskFillsUp',
    when: 'an import of five minutes has taken a tenth of the disk',
    series: { pigeonhole_room_bytes: '100e9x10 100e9-2e9x5 90e9x900' },
    silent: ['45m', '100m', '2h', '3h', '6h'],
  },
  {
    alert: 'PigeonholeDiskFull',
    when: 'the room that is left is too little for a put',
    series: { pigeonhole_room_bytes: '20e9x10 80000x10' },
    silent: ['5m'],
    fires: ['15m'],
  },
  {
    alert: 'PigeonholeErrors',
    when: 'one in fifty requests is answered 503',
    series: { [requests('/get', '200')]: '0+490x60', [requests('/get', '503')]: '0+10x60' },
    fires: ['15m'],
  },
  {
    alert: 'PigeonholeErrors',
    when: 'health says 503 to a load balancer, which is its work',
    series: { [requests('/get', '200')]: '0+10x60', [requests('/health/ready', '503')]: '0+10x60' },
    silent: ['15m', '30m'],
  },
  {
    alert: 'PigeonholeErrors',
    when: 'one single request of few fails',
    series: { [requests('/get', '200')]: '0+4x60', [requests('/get', '507')]: '0x20 1x60' },
    silent: ['22m', '25m', '27m', '30m'],
  },
  {
    alert: 'PigeonholeQueueFillsUp',
    when: 'one process has 40 MiB',
    series: { pigeonhole_workers: '1x30', pigeonhole_write_queue_bytes: `${40 * MIB}x30` },
    fires: ['5m'],
  },
  {
    alert: 'PigeonholeQueueFillsUp',
    when: 'four processes have 40 MiB together',
    series: { pigeonhole_workers: '4x30', pigeonhole_write_queue_bytes: `${40 * MIB}x30` },
    silent: ['5m', '20m'],
  },
  {
    alert: 'PigeonholeWrongTokens',
    when: 'one address presents as many wrong tokens as it may',
    series: { pigeonhole_auth_failures_total: '0+20x60' },
    fires: ['12m'],
  },
  {
    alert: 'PigeonholeWrongTokens',
    when: 'somebody mistypes one a minute',
    series: { pigeonhole_auth_failures_total: '0+1x60' },
    silent: ['12m', '50m'],
  },
  {
    alert: 'PigeonholeBackupOld',
    when: 'backups are made every day, and the last is three days old',
    series: {
      pigeonhole_backup_last_success_timestamp_seconds: '0x6000',
      pigeonhole_backup_interval_seconds: '86400x6000',
    },
    silent: ['1d', '47h'],
    fires: ['3d'],
  },
  {
    alert: 'PigeonholeBackupOld',
    when: 'backups are made every week, and the last is three days old',
    series: {
      pigeonhole_backup_last_success_timestamp_seconds: '0x6000',
      pigeonhole_backup_interval_seconds: '604800x6000',
    },
    silent: ['3d'],
  },
  {
    alert: 'PigeonholeStoreAway',
    when: 'the store tells nothing, and another server’s does',
    series: {
      'pigeonhole_build_info{version="1",engine="redis"}': '1x30',
      'pigeonhole_entries{instance="other:4000"}': '5x30',
    },
    fires: ['5m'],
  },
  {
    alert: 'PigeonholeRestarts',
    when: 'a server is restarted twice, and later three times more',
    series: { process_start_time_seconds: '0x10 1x2 2x120 3x2 4x2 5x60' },
    silent: ['30m'],
    fires: ['150m'],
  },
];

/** A series with the labels that Prometheus adds. */
function scraped(name: string): string {
  const [metric, labels = ''] = name.split(/[{}]/);
  const added = labels.includes('instance=') ? 'job="pigeonhole"' : 'instance="one:4000",job="pigeonhole"';
  return `${metric}{${[labels, added].filter(Boolean).join(',')}}`;
}

/** What promtool is to test. */
function unitOf({ alert, series, fires = [], silent = [] }: Case): object {
  const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"})`;
  const at = (times: readonly string[], samples: readonly object[]) =>
    times.map((time) => ({ expr, eval_time: time, exp_samples: samples }));
  return {
    rule_files: [RULES],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: scraped(name), values })),
        promql_expr_test: [...at(fires, [{ labels: '{}', value: 1 }]), ...at(silent, [])],
      },
    ],
  };
}

async function passes(...args: string[]): Promise<void> {
  const { status, stdout, stderr } = await run([promtool, ...args]);
  expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' });
}

describe('Prometheus', () => {
  test('takes the rules', () => passes('check', 'rules', RULES));

  test('takes the scrape that the page shows', async () => {
    const [block] = blocksOf(pageAt('docs/operations/metrics.md')).filter(
      ({ language }) => language === 'yaml',
    );
    const file = join(temporaryFolder(), 'prometheus.yml');
    writeFileSync(file, block!.text);
    await passes('check', 'config', '--syntax-only', file);
  });

  test.each(CASES.map((each) => [each.alert, each.fires ? 'fires' : 'is silent', each.when, each] as const))(
    '%s %s when %s',
    async (_alert, _does, _when, each) => {
      // JSON is YAML.
      const file = join(temporaryFolder(), 'unit.yml');
      writeFileSync(file, JSON.stringify(unitOf(each)));
      await passes('test', 'rules', file);
    },
  );
});
