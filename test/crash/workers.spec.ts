import { expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, HANG_MS } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { rounds } from '../support/long-run.js';
import { Random } from '../support/random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { allServe, startWorkers, workersOf } from '../support/workers.js';
import { Writers } from './writers.js';

const ROUNDS = rounds(2);
const WORKERS = 3;
const WRITERS = 64;
const SHORTEST_MS = 50;
const LONGEST_MS = 900;
/** Far above what it takes. */
const STALL_MS = 60_000;

test(
  `no acknowledged write is lost by kill -9 of one of ${WORKERS} workers under ${WRITERS} writers, in ${ROUNDS} rounds`,
  async () => {
    const server = await startWorkers(WORKERS, { DATABASE_URL: `lmdb:${temporaryFolder()}` });
    const random = new Random(ROUNDS);
    const writers = new Writers(WRITERS);
    const found = { lost: [] as string[], torn: [] as string[], wrong: [] as string[] };
    const stalls: number[] = [];
    let [cuts, slowest] = [0, 0];

    for (let round = 0; round < ROUNDS; round++) {
      await allServe(server, round + 1);
      let isOver = false;
      writers.longest = 0;
      const writing = writers.writeOn(server.port, () => isOver);
      const before = writers.answered;
      await eventually(() => writers.answered > before + WRITERS, 'answers to all');
      await pause(SHORTEST_MS + random.below(LONGEST_MS - SHORTEST_MS));
      const victim = random.pick(workersOf(server));
      process.kill(victim, 'SIGKILL');
      const begun = performance.now();
      await eventually(() => {
        const workers = workersOf(server);
        return workers.length === WORKERS && !workers.includes(victim);
      }, 'another worker');
      slowest = Math.max(slowest, performance.now() - begun);
      await pause(LONGEST_MS);
      isOver = true;
      cuts += await writing;
      stalls.push(writers.longest);

      const shown = JSON.parse((await ask(server.port, '/')).text) as Record<string, string>;
      const { lost, torn, wrong } = writers.check(shown);
      found.lost.push(...lost);
      found.torn.push(...torn);
      found.wrong.push(...wrong);
    }
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });

    process.stdout.write(
      `kill -9 of a worker: ${ROUNDS} rounds, ${writers.answered} acknowledged, ${cuts} cut off, ` +
        `${found.lost.length} lost, ${found.torn.length} torn, ${found.wrong.length} wrong, longest wait ` +
        `${stalls.map(Math.round).join(' ')} ms, slowest replacement ${Math.round(slowest)} ms\n`,
    );
    expect(found).toEqual({ lost: [], torn: [], wrong: [] });
    expect(cuts).toBeGreaterThan(0);
    expect(Math.max(...stalls)).toBeLessThan(STALL_MS);
  },
  (1 + ROUNDS) * HANG_MS,
);
