import { expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackupSchedule } from '../../../src/backup/backup-schedule.js';
import { backupName } from '../../../src/backup/backup-name.js';
import { loadConfig } from '../../../src/config/app-config.js';
import { readMeters } from '../../../src/meters.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { runCli } from '../../support/cli.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { put } from '../../support/kv.js';
import { runToEnd, startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const AN_HOUR_MS = 3_600_000;

interface Ready {
  readonly status: string;
  readonly details: { readonly backup: { readonly status: string; readonly notes?: string[] } };
}

/** What the metric of this process says. */
function figure(name: string): number | undefined {
  return readMeters().find((each) => each.name === `pigeonhole_backup_${name}`)?.values[0]?.value;
}

function backupsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.backup'))
    .toSorted();
}

test('backups are made one after the other, the newest are kept, and nothing else is touched', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  writeFileSync(join(folder, 'pigeonhole-latest.backup'), 'mine too');
  writeFileSync(join(folder, 'pigeonhole.backup.part'), 'left by a crash');
  const settings = { BACKUP_TO: folder, BACKUP_EVERY: '1s', BACKUP_KEEP: '2', WORKERS: '2' };
  const server = await startServer(settings);
  await put(server.port, 'a', 'x');
  const own = (): string[] => backupsIn(folder).filter((name) => name !== 'pigeonhole-latest.backup');
  await eventually(() => own().length > 0, 'the first backup');
  const [first] = own();
  await eventually(() => own().length > 0 && !own().includes(first!), 'the end of the first backup');
  expect(own().length).toBeLessThanOrEqual(3);
  await server.end('SIGTERM');
  const newest = join(folder, own().at(-1)!);
  expect(statSync(newest).mode & 0o777).toBe(0o600);
  expect((await runCli(['backup', 'verify', newest])).code).toBe(0);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['notes.txt', 'pigeonhole-latest.backup']));
  expect(server.output().stdout).toContain('verified');
});

test('a backup that fails is logged and noted, the server stays ready, and the next ones are made', async () => {
  const folder = join(temporaryFolder(), 'disk');
  const server = await startServer({ BACKUP_TO: folder, BACKUP_EVERY: '1s' });
  const ready = async (): Promise<Ready> =>
    JSON.parse((await ask(server.port, '/health/ready')).text) as Ready;
  await eventually(async () => (await ready()).details.backup.notes !== undefined, 'the note');
  const { status, details } = await ready();
  expect({ status, part: details.backup.status }).toEqual({ status: 'ok', part: 'up' });
  expect(details.backup.notes![0]).toMatch(/^The backup to .* failed at .*: There is no such folder/);
  expect(server.output().stderr).toContain('failed');
  expect((await put(server.port, 'a', 'x')).status).toBe(201);
  mkdirSync(folder);
  await eventually(async () => (await ready()).details.backup.notes === undefined, 'the next backup');
  expect(backupsIn(folder).length).toBeGreaterThan(0);
  await server.end();
});

test('after a restart the schedule goes on from the last file; one from the future does not count', async () => {
  const engine = new LmdbEngine(temporaryFolder(), {
    onFailure: () => undefined,
    maxSnapshotAge: 600_000,
    watchLogBytes: 2 ** 20,
  });
  await engine.open();
  const folder = temporaryFolder();
  const config = loadConfig({ BACKUP_TO: folder, BACKUP_EVERY: '24h' });
  const last = Date.now() - 23 * AN_HOUR_MS;
  writeFileSync(join(folder, backupName(last)), '');
  writeFileSync(join(folder, backupName(Date.now() + AN_HOUR_MS)), '');
  const early = new BackupSchedule(engine, config);
  early.onApplicationBootstrap();
  await eventually(() => figure('last_success_timestamp_seconds') === last / 1000);
  await early.beforeApplicationShutdown();
  expect(readdirSync(folder)).toHaveLength(2);

  renameSync(join(folder, backupName(last)), join(folder, backupName(last - AN_HOUR_MS)));
  const late = new BackupSchedule(engine, config);
  late.onApplicationBootstrap();
  await eventually(() => backupsIn(folder).length === 3);
  await late.beforeApplicationShutdown();
  expect(figure('failures_total')).toBe(0);
  expect(figure('last_success_timestamp_seconds')).toBeGreaterThan(last / 1000);

  rmSync(folder, { recursive: true });
  const failing = new BackupSchedule(engine, config);
  failing.onApplicationBootstrap();
  await eventually(() => figure('failures_total') === 1);
  await failing.beforeApplicationShutdown();
  await engine.close();
});

test('a server whose engine has no backups does not start with BACKUP_TO', async () => {
  const { code, stderr } = await runToEnd({ DATABASE_URL: 'memory:', PORT: '0', BACKUP_TO: '/tmp' });
  expect(code).toBe(1);
  expect(stderr).toBe('pigeonhole: BACKUP_TO is for databases in a folder. Start the server without it.\n');
});
