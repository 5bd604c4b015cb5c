import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { ask, setPath } from '../../support/http.js';
import { scrape, type Scrape } from '../../support/metrics.js';
import type { ServerProcess } from '../../support/server.js';
import { allServe, isAlive, manyConnections, startWorkers, workersOf } from '../../support/workers.js';

const WORKERS = 2;
const PUTS = { method: 'GET', route: '/set', code: '201' };

let server: ServerProcess;
beforeAll(async () => {
  server = await startWorkers(WORKERS);
});
afterAll(() => server.end());

function puts(shown: Scrape): number | undefined {
  return shown.sum('pigeonhole_http_requests_total', PUTS);
}

/** Scrapes over many connections, so that each worker is asked. */
function scrapeEach(): Promise<Scrape[]> {
  return Promise.all(manyConnections(WORKERS).map((agent) => scrape(server.port, { agent })));
}

test('a scrape shows all workers, whichever it meets', async () => {
  const agents = manyConnections(WORKERS);
  await Promise.all(agents.map((agent, i) => ask(server.port, setPath(`k${i}`, 'x'), { agent })));
  for (const shown of await scrapeEach()) {
    expect(puts(shown)).toBe(agents.length);
    expect(shown.sum('pigeonhole_changes_total')).toBe(agents.length);
    // One store, however many have it open.
    expect(shown.sum('pigeonhole_entries')).toBe(agents.length);
    expect(shown.samples.filter(({ name }) => name === 'pigeonhole_build_info').length).toBe(1);
    expect(shown.sum('pigeonhole_workers_silent')).toBe(0);
  }
});

test('one that does not answer is told of and not waited for, and stays counted', async () => {
  const [victim] = workersOf(server);
  const before = puts((await scrapeEach())[0]!)!;
  process.kill(victim!, 'SIGSTOP');
  try {
    // Of the connections that the stopped worker gets, no answer comes.
    const shown = await Promise.any(manyConnections(WORKERS).map((agent) => scrape(server.port, { agent })));
    expect(shown.sum('pigeonhole_workers_silent')).toBe(1);
    expect(puts(shown)).toBe(before);
  } finally {
    process.kill(victim!, 'SIGCONT');
  }
});

test('counters never go back when a worker ends', async () => {
  const before = puts((await scrapeEach())[0]!)!;
  const [victim] = workersOf(server);
  process.kill(victim!, 'SIGKILL');
  await eventually(() => !isAlive(victim!));
  await allServe(server, 2);
  await ask(server.port, setPath('another', 'x'), { agent: false });
  for (const shown of await scrapeEach()) expect(puts(shown)).toBe(before + 1);
});
