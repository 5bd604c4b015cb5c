import { beforeAll, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Cli, runCli } from '../../support/cli.js';
import { EventStream } from '../../support/events.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { batch, put, stored, valueOf } from '../../support/kv.js';
import { rounds } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { startInProcess, type Target } from '../../support/target.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

const ACCOUNTS = 20;
const BALANCE = 100;
const random = new Random(7);

/** A backup of a few entries. */
let backup: string;

async function save(port: number, env: Record<string, string> = {}): Promise<string> {
  const file = join(temporaryFolder(), 'saved.backup');
  const { code, stderr } = await runCli(['backup', 'save', '--url', `http://127.0.0.1:${port}`, file], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return file;
}

function restore(file: string, folder: string, ...flags: string[]) {
  return runCli(['backup', 'restore', file, '--to', folder, ...flags]);
}

function serve(folder: string): Promise<Target> {
  return startInProcess({ DATABASE_URL: `lmdb:${folder}` });
}

/** A folder that holds a database with one entry. */
async function otherDatabase(): Promise<string> {
  const folder = temporaryFolder();
  const target = await serve(folder);
  await put(target.port, 'other', 'database');
  await target.close();
  return folder;
}

beforeAll(async () => {
  const target = await serve(temporaryFolder());
  await put(target.port, 'kept', 'value');
  backup = await save(target.port);
  await target.close();
});

test('a backup is restored with its entries, tags and tokens; what was written since is gone, and its tags never come again', async () => {
  const folder = temporaryFolder();
  const settings = { DATABASE_URL: `lmdb:${folder}`, ADMIN_TOKEN: ADMIN };
  const first = await startServer(settings);
  const token = await issue(first.port, { can: ['read', 'write'] });
  const by = bearer(token.token);
  const kept = await stored(first.port, 'kept', 'value', by);
  const file = await save(first.port, { PIGEONHOLE_TOKEN: ADMIN });
  const lost = new Set<string>();
  for (let i = 0; i < 50; i++) lost.add(await stored(first.port, `lost ${i % 5}`, `${i}`, by));
  const watcher = await EventStream.open(first.port, '/kv?prefix=', by);
  await eventually(() => watcher.events.some(({ event }) => event === 'ready'));
  const lostId = watcher.lastId!;
  await first.end('SIGTERM');

  const done = await restore(file, folder, '--force', '--json');
  expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
  const report = JSON.parse(done.stdout) as { kept: string };
  expect(report).toMatchObject({ restored: true, entries: 1 });
  expect(statSync(report.kept).size).toBeGreaterThan(4096);

  const again = await startServer(settings);
  const entry = await ask(again.port, '/kv/kept', { headers: by });
  expect({ text: entry.text, etag: entry.headers.etag }).toEqual({ text: 'value', etag: kept });
  expect((await ask(again.port, '/kv/lost%201', { headers: by })).status).toBe(404);
  const returned = await EventStream.open(again.port, '/kv?prefix=', { ...by, 'Last-Event-ID': lostId });
  await eventually(() => returned.events.some(({ event }) => event === 'ready'));
  expect(returned.events[0]?.event).toBe('reset');
  for (let i = 0; i < 100; i++)
    expect(lost).not.toContain(await stored(again.port, `new ${i % 5}`, `${i}`, by));
  const later = await EventStream.open(again.port, '/kv?prefix=', { ...by, 'Last-Event-ID': lostId });
  await eventually(() => later.events.some(({ event }) => event === 'ready'));
  expect(later.events[0]?.event).toBe('reset');
  await again.end();
});

/** Moves one from an account to another, all or nothing, as often as it can. */
async function transfer({ port }: Pick<ServerProcess, 'port'>, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const [from, to] = [random.below(ACCOUNTS), random.below(ACCOUNTS)];
    await batch(port, [
      { op: 'incr', key: `account/${from}`, by: -1 },
      { op: 'incr', key: `account/${to}`, by: 1 },
    ]);
  }
}

test('every backup under load shows one moment: no transfer is half in it', async () => {
  const server = await startServer();
  const accounts = Array.from({ length: ACCOUNTS }, (_, i) => ({
    op: 'incr',
    key: `account/${i}`,
    by: BALANCE,
  }));
  expect((await batch(server.port, accounts)).status).toBe(200);
  let isOver = false;
  const load = Array.from({ length: 8 }, () => transfer(server, () => isOver));
  for (let round = 0; round < rounds(2, 50); round++) {
    const folder = join(temporaryFolder(), 'restored');
    const { code, stderr } = await restore(await save(server.port), folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(statSync(join(folder, 'data.mdb')).mode & 0o777).toBe(0o600);
    const restored = await serve(folder);
    const values = Array.from({ length: ACCOUNTS }, (_, i) => valueOf(restored.port, `account/${i}`));
    const sum = (await Promise.all(values)).reduce((total, value) => total + Number(value), 0);
    expect({ round, sum }).toEqual({ round, sum: ACCOUNTS * BALANCE });
    await restored.close();
  }
  isOver = true;
  await Promise.all(load);
  await server.end();
});

test('a target that holds a database needs --force; with --if-empty it is left as it is', async () => {
  const folder = await otherDatabase();
  const before = readFileSync(join(folder, 'data.mdb'));
  const refused = await restore(backup, folder);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^pigeonhole: .* holds a database\. .*nothing was changed\.\n$/);
  expect((await restore(backup, folder, '--if-empty')).code).toBe(0);
  expect((await restore(backup, folder, '--force', '--dry-run')).stdout).toMatch(/would have 1 entry/);
  expect(readFileSync(join(folder, 'data.mdb')).equals(before)).toBe(true);
});

test('a folder that a server uses, or that holds something else, is refused, with --force too', async () => {
  const folder = await otherDatabase();
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  const inUse = await restore(backup, folder, '--force');
  expect({ code: inUse.code, why: inUse.stderr }).toEqual({
    code: 1,
    why: expect.stringContaining('is in use by'),
  });
  expect(await valueOf(server.port, 'other')).toBe('database');
  await server.end();
  const foreign = temporaryFolder();
  writeFileSync(join(foreign, 'photo.jpg'), 'x');
  expect((await restore(backup, foreign, '--force')).stderr).toContain('photo.jpg');
  expect(readdirSync(foreign)).toEqual(['photo.jpg']);
});

test('a backup that is damaged is refused before anything is touched', async () => {
  const folder = await otherDatabase();
  const before = readFileSync(join(folder, 'data.mdb'));
  const damaged = join(temporaryFolder(), 'damaged.backup');
  const bytes = readFileSync(backup);
  bytes[bytes.length - 120]! ^= 1;
  writeFileSync(damaged, bytes);
  const cut = join(temporaryFolder(), 'cut.backup');
  writeFileSync(cut, readFileSync(backup));
  truncateSync(cut, 700);
  for (const [file, why] of [
    [damaged, 'is damaged'],
    [cut, 'is cut short'],
  ] as const) {
    const { code, stderr } = await restore(file, folder, '--force');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`${file} ${why}`) });
  }
  const { code } = await runCli(['backup', 'verify', damaged]);
  expect(code).toBe(1);
  expect(readFileSync(join(folder, 'data.mdb')).equals(before)).toBe(true);
  expect(readdirSync(folder).filter((name) => name.startsWith('before-restore'))).toEqual([]);
});

test('whoever kills a restore finds the old database or the new one', async () => {
  const folder = await otherDatabase();
  for (let round = 0; round < rounds(3, 50); round++) {
    const cli = new Cli(['backup', 'restore', backup, '--to', folder, '--force']);
    let ended = false;
    void cli.ended.then(() => (ended = true));
    // From when it begins to touch the folder on.
    await eventually(() => ended || existsSync(join(folder, '.pigeonhole-making')));
    await pause(random.below(30));
    cli.signal('SIGKILL');
    await cli.ended;
    const target = await serve(folder);
    const found = [await valueOf(target.port, 'other'), await valueOf(target.port, 'kept')];
    expect([
      ['database', undefined],
      [undefined, 'value'],
    ]).toContainEqual(found);
    await target.close();
  }
});

test('a client that cannot reach a server, or may not, is told so by its exit code, and leaves no file', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'x.backup');
  const server = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}`, ADMIN_TOKEN: ADMIN });
  const url = `http://127.0.0.1:${server.port}`;
  expect(await runCli(['backup', 'save', '--url', url, file])).toMatchObject({ code: 5 });
  await server.close();
  const gone = await runCli(['backup', 'save', file], { PIGEONHOLE_URL: url });
  expect(gone).toMatchObject({ code: 2, stderr: expect.stringContaining(url) });
  const memory = await startInProcess();
  const unsupported = await runCli(['backup', 'save', '--url', `http://127.0.0.1:${memory.port}`, file]);
  expect(unsupported).toMatchObject({ code: 1, stderr: expect.stringContaining('x-ndjson') });
  await memory.close();
  expect(readdirSync(folder)).toEqual([]);
});
