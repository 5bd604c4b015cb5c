import { describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Cli } from '../../support/cli.js';
import { spawnServer, startServer, type Exit } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { shortOrLong } from '../../support/long-run.js';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** From before the first line of the program runs until after it listens. */
const ROUNDS = shortOrLong(6, 48);
/** They cover the first 700 ms. */
const STEP_MS = 720 / ROUNDS;
/** Far above what it takes; the product promises 10 s. */
const HANG_MS = 60_000;
/** Of all rounds on a machine that is busy. */
jest.setTimeout(300_000);

/** What the tests need of a server that starts. */
interface Starting {
  signal(signal: NodeJS.Signals): void;
  readonly ended: Promise<Exit & { stdout: string; stderr: string }>;
}

function startBuilt(settings: Record<string, string>): Starting {
  const child = spawnServer({ PORT: '0', DATABASE_URL: `lmdb:${temporaryFolder()}`, ...settings });
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr!.on('data', (text: Buffer) => (stderr += text.toString()));
  return {
    signal: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr })),
  };
}

function startCommand(settings: Record<string, string>): Starting {
  return new Cli([], { PORT: '0', DATABASE_URL: 'memory:', ...settings });
}

async function endOf(server: Starting): ReturnType<typeof startBuilt>['ended'] {
  const kill = setTimeout(() => server.signal('SIGKILL'), HANG_MS);
  const end = await server.ended;
  clearTimeout(kill);
  return end;
}

test('a signal at any moment of the first 100 ms leaves nothing locked: the next start on the folder listens', async () => {
  const folder = `lmdb:${temporaryFolder()}`;
  for (let moment = 0; moment <= 100; moment += 20) {
    for (const signal of SIGNALS) {
      const server = startBuilt({ DATABASE_URL: folder });
      await pause(moment);
      server.signal(signal);
      const { code, signal: by, stdout, stderr } = await endOf(server);
      expect([0, null]).toContain(code);
      expect([null, signal]).toContain(by);
      expect([stderr, stdout.includes('Listening on')]).toEqual(['', false]);
    }
  }
  const next = await startServer({ DATABASE_URL: folder });
  await next.end();
});

describe('a signal to stop ends the process with 0 at every moment of the start, and a second one changes nothing:', () => {
  test.each([
    ['one process', startBuilt, {}],
    ['workers', startBuilt, { WORKERS: '2' }],
    ['the command', startCommand, {}],
  ] as const)('%s', async (_what, start, settings) => {
    for (let round = 0; round < ROUNDS; round++) {
      const signal = SIGNALS[round % SIGNALS.length]!;
      const server = start(settings);
      await pause(round * STEP_MS);
      server.signal(signal);
      await pause(round % 4);
      server.signal(SIGNALS[(round + 1) % SIGNALS.length]!);
      const { code, signal: by, stdout, stderr } = await endOf(server);
      // Until Node has begun to run the program, the system ends the process by the signal.
      if (by === null || by === 'SIGKILL') expect({ round, code, by }).toEqual({ round, code: 0, by: null });
      else expect({ round, stdout }).toEqual({ round, stdout: '' });
      expect(stderr).toBe('');
      expect(stdout).not.toMatch(/Stopping on[^]*Listening on/);
      expect(stdout.split('Stopping on').length).toBeLessThanOrEqual(2);
    }
  });
});

test('a signal to stop ends a start that waits for a Redis that does not answer', async () => {
  const silent = net.createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const server = startBuilt({ DATABASE_URL: `redis://127.0.0.1:${port}` });
  const [connection] = (await once(silent, 'connection')) as [net.Socket];
  connection.on('error', () => undefined);
  server.signal('SIGTERM');
  expect(await endOf(server)).toMatchObject({ code: 0, signal: null, stderr: '' });
  connection.destroy();
  silent.close();
});
