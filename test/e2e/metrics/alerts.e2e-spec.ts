import { afterAll, beforeAll, expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { eventually } from '../../support/eventually.js';
import { longTest as test } from '../../support/long-run.js';
import { Prometheus } from '../../support/prometheus.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN } from '../../support/tokens.js';
import { alertStates, type AlertState } from './alert-states.js';

/*
 * Every alert of docs/operations/alerts.yml, found by a real Prometheus that scrapes real servers. Only how long a state has to
 * last is shortened.
 */

const RULES = readFileSync('docs/operations/alerts.yml', 'utf8');
const NAMES = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
const SCRAPE_EVERY_S = 3;
const LONG_MS = 600_000;
const HEALTHY = 'healthy';
const RESTARTED = 'restarted';

requireProgram('prometheus').describe('Prometheus', () => {
  /** What has fired so far, as `alert instance`. */
  const fired = new Set<string>();
  const servers = new Map<string, ServerProcess>();
  let states: AlertState[];
  let prometheus: Prometheus;
  let poll: NodeJS.Timeout;
  let start: () => Promise<ServerProcess>;

  beforeAll(async () => {
    states = await alertStates();
    await Promise.all(states.map(async (state) => servers.set(state.instance, await state.start())));
    servers.set(HEALTHY, await startServer({ DATABASE_URL: 'memory:' }));
    const restarted = await startServer();
    servers.set(RESTARTED, restarted);
    start = () => startServer({ PORT: String(restarted.port) });
    const targetsOf = (isTls: boolean) =>
      [...servers]
        .filter(
          ([name]) => isTls === states.some((each) => each.instance === name && each.scheme === 'https'),
        )
        .map(([instance, { port }]) => ({
          targets: [`127.0.0.1:${port}`],
          labels: { instance, job: 'pigeonhole' },
        }));
    const authorization = { credentials: ADMIN };
    const jobs = [
      { job_name: 'plain', authorization, static_configs: targetsOf(false) },
      {
        job_name: 'tls',
        scheme: 'https',
        tls_config: { insecure_skip_verify: true },
        static_configs: targetsOf(true),
      },
    ];
    prometheus = await Prometheus.start(jobs, SCRAPE_EVERY_S, RULES.replaceAll(/for: \w+/g, 'for: 1s'));
    await prometheus.untilScraped(servers.size);
    poll = setInterval(() => void look().catch(() => undefined), 500);
  }, LONG_MS);

  afterAll(async () => {
    clearInterval(poll);
    prometheus.stop();
    for (const server of servers.values()) await server.end();
  });

  async function look(): Promise<void> {
    for (const { labels, state } of await prometheus.alerts()) {
      const name = `${labels['alertname']} ${labels['instance']}`;
      if (state !== 'firing' || fired.has(name)) continue;
      fired.add(name);
      process.stdout.write(`${new Date().toISOString()} ${name}\n`);
    }
  }

  const missing = ({ alerts, instance }: AlertState) =>
    alerts.filter((name) => !fired.has(`${name} ${instance}`));

  /** Ends and starts a server three times, each of which is scraped. */
  async function restart(): Promise<void> {
    for (let i = 1; i <= 3; i++) {
      await servers.get(RESTARTED)!.end();
      servers.set(RESTARTED, await start());
      await eventually(async () => {
        const [found] = await prometheus.query(
          `changes(process_start_time_seconds{instance="${RESTARTED}"}[1h])`,
        );
        return Number(found?.value?.[1]) === i;
      }, `the scrape after restart ${i}`);
    }
    await eventually(() => fired.has(`PigeonholeRestarts ${RESTARTED}`), 'PigeonholeRestarts');
  }

  test(
    'every alert fires where its state is, and none on a server that is well',
    async () => {
      expect([...states.flatMap(({ alerts }) => alerts), 'PigeonholeRestarts'].toSorted()).toEqual(
        NAMES.toSorted(),
      );
      await Promise.all([
        restart(),
        ...states.map(async (state) => {
          await state.provoke(servers.get(state.instance)!, () => missing(state).length === 0);
          await eventually(
            () => missing(state).length === 0,
            `${missing(state).join(', ')} on ${state.instance}`,
          );
        }),
      ]);
      expect([...fired].filter((each) => each.endsWith(` ${HEALTHY}`))).toEqual([]);
    },
    LONG_MS,
  );
});
