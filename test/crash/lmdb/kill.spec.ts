import { expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, HANG_MS } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { rounds } from '../../support/long-run.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { valueOf, Writers } from '../writers.js';

const ROUNDS = rounds(2);
const WRITERS = 64;
const SHORTEST_MS = 50;
const LONGEST_MS = 900;

test(
  `no acknowledged write is lost or torn by kill -9 under ${WRITERS} writers, in ${ROUNDS} rounds`,
  async () => {
    const DATABASE_URL = `lmdb:${temporaryFolder()}`;
    const writers = new Writers(WRITERS);
    const found = { lost: [] as string[], torn: [] as string[], wrong: [] as string[] };
    let slowest = 0;

    for (let round = 0; round <= ROUNDS; round++) {
      const begun = performance.now();
      const server = await startServer({ DATABASE_URL });
      const shown = JSON.parse((await ask(server.port, '/')).text) as Record<string, string>;
      // The first start is no restart.
      if (round > 0) slowest = Math.max(slowest, performance.now() - begun);
      const { lost, torn, wrong } = writers.check(shown);
      found.lost.push(...lost);
      found.torn.push(...torn);
      found.wrong.push(...wrong);

      if (round < ROUNDS) {
        const writing = writers.writeUntilGone(server.port);
        await eventually(() => writers.answered > (round + 1) * WRITERS, 'answers to all');
        await pause(SHORTEST_MS + Math.random() * (LONGEST_MS - SHORTEST_MS));
        await Promise.all([server.end('SIGKILL'), writing]);
      } else {
        await server.end('SIGTERM');
      }
    }

    process.stdout.write(
      `kill -9: ${ROUNDS} rounds, ${writers.answered} acknowledged, ${found.lost.length} lost, ` +
        `${found.torn.length} torn, ${found.wrong.length} wrong, slowest restart ${Math.round(slowest)} ms\n`,
    );
    expect(found).toEqual({ lost: [], torn: [], wrong: [] });
    expect(slowest).toBeLessThan(HANG_MS);
  },
  (1 + ROUNDS) * HANG_MS,
);

test('the check finds lost, torn and wrong values, and no others', async () => {
  const DATABASE_URL = `lmdb:${temporaryFolder()}`;
  const writers = new Writers(1);
  const server = await startServer({ DATABASE_URL });
  const writing = writers.writeUntilGone(server.port);
  while (writers.answered < 20) await pause(5);
  await Promise.all([server.end('SIGKILL'), writing]);
  const restarted = await startServer({ DATABASE_URL });
  const shown = JSON.parse((await ask(restarted.port, '/')).text) as Record<string, string>;
  await restarted.end();

  const [a, b, c, d] = Object.keys(shown).sort();
  delete shown[a!];
  shown[b!] = shown[b!]!.slice(0, -1);
  shown[c!] = shown[d!]!;
  shown[d!] = valueOf(d!, 1);
  shown['writer/0/never'] = valueOf('writer/0/never', 1);
  const { lost, torn, wrong } = writers.check(shown);
  expect({ lost: lost.sort(), torn: torn.sort(), wrong }).toEqual({
    lost: [a, d],
    torn: [b, c],
    wrong: ['writer/0/never'],
  });
});
