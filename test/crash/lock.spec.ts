import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pigeonhole } from '../../src/client/pigeonhole.js';
import { runCli } from '../support/cli.js';
import { eventually } from '../support/eventually.js';
import { valueOf } from '../support/kv.js';
import { shortOrLong } from '../support/long-run.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/* Never two at once: sections under one lock, while holders, the server and the network fail. */

/** The long form takes an hour. */
const LONG_MS = 7_200_000;

const folder = temporaryFolder();
const settings = { DATABASE_URL: `lmdb:${folder}/data` };
let server: ServerProcess;
let proxy: TcpProxy;

beforeAll(async () => {
  server = await startServer(settings);
  proxy = await startTcpProxy(server.port);
});
afterAll(() => server.end());

async function restartServer(): Promise<void> {
  const PORT = String(server.port);
  await server.end();
  server = await startServer({ ...settings, PORT });
}

/** Takes the lock of the system on a file, which ends with the last process of the section, and says when somebody has it. */
const SECTION = `exec 9>>guard; flock -n 9 || { echo two at once >>overlaps; exit; }
echo >>sections; sleep 0.0$(($$ % 5))`;

requireProgram('flock').describe('under `pigeonhole lock`', () => {
  const enough = shortOrLong(16, 10_000);
  const faultEvery = shortOrLong(2, 20);
  const count = () => {
    const file = join(folder, 'sections');
    return existsSync(file) ? readFileSync(file, 'utf8').length : 0;
  };

  /** The process that holds the lock, as the entry says. */
  async function holder(): Promise<number | undefined> {
    const pid = /:(\d+) /.exec((await valueOf(server.port, 'lock/one')) ?? '')?.[1];
    return pid === undefined ? undefined : Number(pid);
  }

  async function signalHolder(signal: NodeJS.Signals): Promise<number> {
    for (;;) {
      const pid = await holder();
      try {
        if (pid !== undefined && process.kill(pid, signal)) return pid;
      } catch {
        // It has ended meanwhile.
      }
      await pause(5);
    }
  }

  function resume(pid: number): void {
    try {
      process.kill(pid, 'SIGCONT');
    } catch {
      // It was about to end.
    }
  }

  const FAULTS: Record<string, () => Promise<void>> = {
    'the holder is killed': async () => void (await signalHolder('SIGKILL')),
    'the server is killed': restartServer,
    'the network is gone until somebody else has the lock': async () => {
      proxy.blackHole();
      await pause(1500);
      proxy.restore();
    },
    'the holder stands still until somebody else has the lock': async () => {
      const pid = await signalHolder('SIGSTOP');
      await eventually(async () => (await holder()) !== pid);
      resume(pid);
    },
  };

  test(
    'a command runs alone, whatever is killed, stopped or cut off',
    async () => {
      const env = { PIGEONHOLE_URL: `http://127.0.0.1:${proxy.port}` };
      writeFileSync(join(folder, 'section'), SECTION);
      const args = ['lock', 'one', '--ttl', '1s', '--', 'sh', 'section'];
      const workers = Array.from({ length: 3 }, async () => {
        while (count() < enough) await runCli(args, env, folder);
      });
      const faults = Object.entries(FAULTS);
      const done = faults.map(() => 0);
      for (let round = 0; count() < enough; round++) {
        const before = count();
        const kind = round % faults.length;
        await faults[kind]![1]();
        done[kind]!++;
        await eventually(() => count() >= Math.min(before + faultEvery, enough));
      }
      await Promise.all(workers);
      const times = faults.map(([name], kind) => `${name}: ${done[kind]}`).join(', ');
      process.stdout.write(`sections under a lock: ${count()}; ${times}\n`);
      expect(existsSync(join(folder, 'overlaps'))).toBe(false);
    },
    LONG_MS,
  );
});

test(
  'what holds the lock of a client runs alone, whatever is lost',
  async () => {
    const enough = shortOrLong(60, 10_000);
    const faultEvery = shortOrLong(20, 500);
    let [inside, overlaps, sections] = [0, 0, 0];

    async function section(db: Pigeonhole): Promise<void> {
      const lock = await db.lock('two', { ttl: '2s' });
      if (++inside > 1) overlaps++;
      await pause(sections % 3, undefined, { signal: lock.signal }).catch(() => undefined);
      inside--;
      sections++;
      await lock.release();
    }

    async function work(): Promise<void> {
      const db = new Pigeonhole(`http://127.0.0.1:${proxy.port}`);
      // What is lost on the way is tried again.
      while (sections < enough) await section(db).catch(() => pause(50));
    }

    async function fail(): Promise<void> {
      for (let round = 1; sections < enough; round++) {
        await eventually(() => sections >= Math.min(enough, round * faultEvery));
        if (round % 3 === 0) await restartServer();
        else if (round % 3 === 1) proxy.loseAnswers();
        else proxy.drop();
        proxy.restore();
      }
    }

    await Promise.all([...Array.from({ length: 6 }, work), fail()]);
    expect(overlaps).toBe(0);
  },
  LONG_MS,
);
