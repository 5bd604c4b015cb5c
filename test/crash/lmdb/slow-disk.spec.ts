import { expect } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../../support/http.js';
import { compilePreload } from '../../support/machine.js';
import { anonymousMemory } from '../../support/memory.js';
import { testWhere } from '../../support/requires.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const LARGE = 200;
const LARGE_BYTES = 2 ** 20;
const SMALL = 20;
/** The server refuses a body that it does not read, and closes; a client that is still sending may not see the answer. */
const CUT = 0;
/** On a machine with other work, headers may come too late. */
const LATE = 408;

const shim = compilePreload('failing-disk', temporaryFolder());
const test = testWhere(shim !== undefined, 'there is no gcc to make a disk that is slow');

const agent = new http.Agent({ keepAlive: true, maxSockets: LARGE });

/** Returns the status and how long it took, milliseconds. */
async function put(port: number, key: string, bytes: number): Promise<{ status: number; took: number }> {
  const begun = performance.now();
  const body = Buffer.alloc(bytes, key);
  const status = await ask(port, `/kv/${key}`, { method: 'PUT', body, agent }).then(
    (answer) => answer.status,
    () => CUT,
  );
  return { status, took: performance.now() - begun };
}

test(`${LARGE} writes of 1 MiB at once, each sync taking a second: every write is answered, and as it says`, async () => {
  const flag = join(temporaryFolder(), 'flag');
  const server = await startServer({ LD_PRELOAD: shim!, FAIL_FLAG: flag, FAIL_CALLS: 'slow' });
  await put(server.port, 'first', 1);
  const before = anonymousMemory(server.pid);
  let most = before;
  const sampler = setInterval(() => (most = Math.max(most, anonymousMemory(server.pid))), 100);
  writeFileSync(flag, '');

  const keys = Array.from({ length: LARGE }, (_, i) => `large${i}`);
  const writing = Promise.all(keys.map((key) => put(server.port, key, LARGE_BYTES)));
  const small = [];
  for (let i = 0; i < SMALL; i++) {
    await pause(200);
    small.push(put(server.port, `small${i}`, 1));
  }
  const large = await writing;
  const smallAnswers = await Promise.all(small);
  clearInterval(sampler);

  const slowest = (answers: { took: number }[]) => Math.round(Math.max(...answers.map(({ took }) => took)));
  const stored = large.filter(({ status }) => status === 201).length;
  process.stdout.write(
    `slow disk: ${LARGE} × 1 MiB, ${stored} stored, slowest ${slowest(large)} ms; ${SMALL} × 1 byte, ` +
      `${smallAnswers.filter(({ status }) => status === 201).length} stored, slowest ${slowest(smallAnswers)} ms; ` +
      `memory +${Math.round((most - before) / 2 ** 20)} MiB\n`,
  );
  expect(smallAnswers.filter(({ status }) => ![201, 503].includes(status))).toEqual([]);
  expect(large.filter(({ status }) => ![201, 503, LATE, CUT].includes(status))).toEqual([]);
  for (const [i, { status }] of large.entries()) {
    const found = await ask(server.port, `/kv/${keys[i]}`, { method: 'HEAD' });
    expect(found.status).toBe(status === 201 ? 200 : 404);
  }
  expect((await server.end('SIGTERM')).code).toBe(0);
  expect(most - before).toBeLessThan(512 * 2 ** 20);
});
