import http from 'node:http';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { backupName } from '../../../src/backup/backup-name.js';
import { certificateFor, newCertificate } from '../../support/certificates.js';
import { DataFile } from '../../support/data-file.js';
import { EventStream } from '../../support/events.js';
import { eventually } from '../../support/eventually.js';
import { ask, eachAtOnce } from '../../support/http.js';
import { pathOf } from '../../support/kv.js';
import { compilePreload } from '../../support/machine.js';
import { startRedis } from '../../support/redis.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';
import { startWorkers, workersOf } from '../../support/workers.js';

/* States of a server that alerts are there for, each brought about as it comes about in earnest. */

const DAY_MS = 86_400_000;
const MIB = 2 ** 20;

/** A server that is watched, and what makes its alerts fire. */
export interface AlertState {
  /** What Prometheus calls it. */
  readonly instance: string;
  readonly alerts: readonly string[];
  readonly scheme?: 'https';
  start(): Promise<ServerProcess>;
  /** @param isOver whether all its alerts fire */
  provoke(server: ServerProcess, isOver: () => boolean): Promise<void>;
}

function upload(port: number, key: string, body: Buffer): Promise<number> {
  const agent = new http.Agent();
  return ask(port, pathOf(key), { method: 'PUT', body, agent }).then(
    ({ status }) => status,
    () => 0,
  );
}

async function until(isOver: () => boolean, work: () => Promise<unknown>): Promise<void> {
  while (!isOver()) await work();
}

const times = (count: number) => Array.from({ length: count }, (_, i) => i);

function fullDisk(): AlertState {
  const disk = temporaryFolder();
  const mount = ['unshare', '-m', 'sh', '-c', `mount -t tmpfs -o size=128m tmpfs ${disk} && exec "$@"`, 'sh'];
  return {
    instance: 'disk',
    alerts: ['PigeonholeDiskFillsUp', 'PigeonholeDiskFull', 'PigeonholeErrors'],
    start: () => startServer({ DATABASE_URL: `lmdb:${disk}/data` }, undefined, mount),
    async provoke({ port }, isOver) {
      let key = 0;
      await until(isOver, async () => {
        await upload(port, `k${key++}`, Buffer.alloc(MIB / 4));
        await pause(50);
      });
    },
  };
}

function slowDisk(): AlertState {
  const flag = join(temporaryFolder(), 'flag');
  return {
    instance: 'slow',
    alerts: ['PigeonholeSlow', 'PigeonholeDiskSlow', 'PigeonholeQueueFillsUp'],
    start: () =>
      startServer({
        LD_PRELOAD: compilePreload('failing-disk', temporaryFolder())!,
        FAIL_FLAG: flag,
        FAIL_CALLS: 'slow',
      }),
    async provoke({ port }, isOver) {
      writeFileSync(flag, '');
      const value = Buffer.alloc(MIB);
      await Promise.all(times(64).map((i) => until(isOver, () => upload(port, `k${i}`, value))));
    },
  };
}

async function storeAway(): Promise<AlertState> {
  const redis = await startRedis();
  return {
    instance: 'away',
    alerts: ['PigeonholeStoreAway'],
    start: () => startServer({ DATABASE_URL: redis.url }),
    async provoke(_server, isOver) {
      redis.pause();
      await eventually(isOver, 'an alert about Redis').finally(() => redis.resume());
    },
  };
}

function damaged(): AlertState {
  const folder = temporaryFolder();
  return {
    instance: 'damaged',
    alerts: ['PigeonholeDamaged'],
    start: () => startServer({ DATABASE_URL: `lmdb:${folder}` }),
    async provoke({ port }) {
      await upload(port, 'b', Buffer.from('a value'));
      const file = new DataFile(join(folder, 'data.mdb'));
      const leaf = file.pagesOf('entries').find(({ isBranch }) => !isBranch)!;
      file.flip(leaf.nodes[0]! + 8 + 1 + 20);
      await ask(port, '/kv/b');
    },
  };
}

/** An export that is read so slowly that it keeps what is overwritten meanwhile. */
function pinned(): AlertState {
  const value = Buffer.alloc(MIB);
  return {
    instance: 'pinned',
    alerts: ['PigeonholePinned'],
    start: () => startServer(),
    async provoke({ port }, isOver) {
      await eachAtOnce(times(64), 8, (i) => upload(port, `k${i}`, value));
      const headers = { Accept: 'application/x-ndjson' };
      const request = http.get({ host: '127.0.0.1', port, path: '/kv?prefix=', headers, agent: false });
      request
        .on('error', () => undefined)
        .on('response', (response) => {
          response
            .on('error', () => undefined)
            .on('data', () => {
              response.pause();
              setTimeout(() => response.resume(), 200);
            });
        });
      let round = 0;
      await until(isOver, () => eachAtOnce(times(16), 8, () => upload(port, `k${round++ % 64}`, value)));
      request.destroy();
    },
  };
}

function watched(): AlertState {
  return {
    instance: 'watched',
    alerts: ['PigeonholeWatchResets', 'PigeonholeWatchersCut'],
    start: () => startServer(),
    async provoke({ port }, isOver) {
      const path = '/kv?prefix=';
      await eachAtOnce(times(100), 8, async () =>
        (await EventStream.open(port, path, { 'Last-Event-ID': 'of another life' })).close(),
      );
      const streams = await Promise.all(times(80).map(() => EventStream.live(port, path)));
      for (const { response } of streams) response.pause();
      const value = Buffer.alloc(60_000, 'v');
      await until(isOver, () => eachAtOnce(times(16), 8, (i) => upload(port, `k${i}`, value)));
      for (const stream of streams) stream.close();
    },
  };
}

function guessed(): AlertState {
  return {
    instance: 'guessed',
    alerts: ['PigeonholeWrongTokens', 'PigeonholeRateLimited'],
    start: () => startServer({ ADMIN_TOKEN: ADMIN }),
    async provoke({ port }) {
      const addresses = times(5).map((i) => `127.0.0.${i + 2}`);
      for (const localAddress of addresses)
        for (const i of times(20))
          await ask(port, '/', { headers: bearer(`a-wrong-token-${i}`), localAddress, agent: false });
      const { token } = await issue(port, { can: ['read'], limits: { requests: 1 } });
      await eachAtOnce(times(600), 8, () => ask(port, '/get?key=a', { headers: bearer(token) }));
    },
  };
}

/** Its folder has a backup of three days ago, and something in the place of the next. */
function withoutBackups(): AlertState {
  const folder = temporaryFolder();
  writeFileSync(join(folder, backupName(Date.now() - 3 * DAY_MS)), '');
  mkdirSync(join(folder, 'pigeonhole.backup.part'));
  return {
    instance: 'backups',
    alerts: ['PigeonholeBackupFails', 'PigeonholeBackupOld'],
    start: () => startServer({ BACKUP_TO: folder, BACKUP_EVERY: '5s' }),
    provoke: async () => undefined,
  };
}

function certificates(): AlertState {
  const { cert, key } = certificateFor(3);
  return {
    instance: 'tls',
    alerts: ['PigeonholeCertificateExpires', 'PigeonholeCertificateRefused'],
    scheme: 'https',
    start: () => startServer({ TLS_CERT: cert, TLS_KEY: key }),
    provoke: async () => copyFileSync(newCertificate().cert, cert),
  };
}

function silentWorker(): AlertState {
  return {
    instance: 'workers',
    alerts: ['PigeonholeWorkerSilent'],
    start: () => startWorkers(3),
    async provoke(server, isOver) {
      const [worker] = workersOf(server);
      process.kill(worker!, 'SIGSTOP');
      await eventually(isOver, 'an alert about the worker').finally(() => process.kill(worker!, 'SIGCONT'));
    },
  };
}

export async function alertStates(): Promise<AlertState[]> {
  return [
    fullDisk(),
    slowDisk(),
    await storeAway(),
    damaged(),
    pinned(),
    watched(),
    guessed(),
    withoutBackups(),
    certificates(),
    silentWorker(),
    {
      instance: 'down',
      alerts: ['PigeonholeDown'],
      start: () => startServer(),
      provoke: async (server) => void (await server.end()),
    },
  ];
}
