import { afterAll, afterEach, expect, test } from '@jest/globals';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/redis-cli.js';
import { releasePort, takePort } from '../support/redis-ports.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { EventStream } from '../support/events.js';
import { DataFile } from '../support/data-file.js';
import { ask } from '../support/http.js';
import { expectProblem, put, stored, valueOf } from '../support/kv.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { startInProcess } from '../support/target.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../support/tokens.js';
import { PageShell } from './shell.js';

/* What pages tell people to do at night, done with the commands that stand there, from the top of the page to its end. */

const EXPORT = { headers: { Accept: 'application/x-ndjson' } };
const COUNT = '/kv?count=true&prefix=';
const { describe: describeWithCurl } = requireProgram('curl');

let server: ServerProcess | undefined;
afterEach(async () => void (await server?.end()));

const ports: number[] = [];
afterAll(() => ports.forEach(releasePort));

async function newPort(): Promise<number> {
  const port = await takePort();
  ports.push(port);
  return port;
}

/** A port for the page's server, and a folder with its database in `data`. */
async function begin(page: string): Promise<{ shell: PageShell; start: () => Promise<ServerProcess> }> {
  const port = await newPort();
  const shell = new PageShell(page, { 4000: port, 4100: await newPort() });
  const settings = { DATABASE_URL: `lmdb:${join(shell.folder, 'data')}`, PORT: String(port) };
  return { shell, start: async () => (server = await startServer(settings)) };
}

/** Returns what the database in a folder of the shell shows. */
async function exportOf(folder: string): Promise<string> {
  const target = await startInProcess({ DATABASE_URL: `lmdb:${folder}` });
  const { text } = await ask(target.port, '/kv', EXPORT);
  await target.close();
  return text;
}

describeWithCurl('docs/operations/backup.md', () => {
  test('a backup, a restore, the drill, and an export', async () => {
    const { shell, start } = await begin('docs/operations/backup.md');
    const { port } = await start();
    for (let i = 0; i < 20; i++) await put(port, `key ${i}`, `value ${i}`);
    const before = (await ask(port, '/kv', EXPORT)).text;
    const count = (await ask(port, COUNT)).text;

    await shell.next('pigeonhole backup save monday.backup');
    expect(await exportOf(join(shell.folder, 'restored'))).toBe(before);

    await put(port, 'after monday', 'lost');
    await server!.end('SIGTERM');
    await shell.next('pigeonhole backup restore monday.backup --to ./data --force');
    await start();
    expect((await ask(port, '/kv', EXPORT)).text).toBe(before);

    const drill = await shell.next('pigeonhole backup save drill.backup');
    expect(drill.stdout.endsWith(count)).toBe(true);
    expect(await exportOf(join(shell.folder, 'drill'))).toBe(before);

    const again = await shell.next('all.ndjson');
    expect(readFileSync(join(shell.folder, 'all.ndjson'), 'utf8')).toBe(before);
    expect(JSON.parse(again.stdout)).toMatchObject({ created: 0, updated: 20, errorCount: 0, end: true });
    expect(shell.left).toBe(0);
  });
});

describeWithCurl('docs/damage.md', () => {
  test('check, salvage, an import into a new folder, and compact', async () => {
    const { shell, start } = await begin('docs/damage.md');
    const { port } = await start();
    for (const key of ['a', 'b', 'c']) await put(port, key, `value of ${key}`);
    await server!.end('SIGTERM');
    const data = join(shell.folder, 'data');
    const sound = temporaryFolder();
    cpSync(data, sound, { recursive: true });
    const file = new DataFile(join(data, 'data.mdb'));
    const leaf = file.pagesOf('entries').find(({ isBranch }) => !isBranch)!;
    file.flip(leaf.nodes[1]! + 8 + 1 + 20);

    expect((await shell.next('pigeonhole check ./data', 1)).stdout).toContain('Damaged: ');
    await shell.next('pigeonhole salvage ./data');
    const saved = readFileSync(join(shell.folder, 'saved.ndjson'), 'utf8');
    expect(readFileSync(join(shell.folder, 'saved.txt'), 'utf8')).toContain('Saved 3 entries of 3');
    const imported = await shell.next('DATABASE_URL=lmdb:./new pigeonhole');
    expect(JSON.parse(imported.stdout)).toMatchObject({ created: 3, errorCount: 0, end: true });
    const lines = (text: string) => text.trimEnd().split('\n').slice(0, -1);
    expect(lines(await exportOf(join(shell.folder, 'new')))).toEqual(lines(saved).toSorted());

    cpSync(sound, data, { recursive: true, force: true });
    await shell.next('pigeonhole compact ./data');
    expect(lines(await exportOf(data))).toEqual(lines(await exportOf(sound)));
    expect(shell.left).toBe(0);
  });
});

describeOnRedis(
  'docs/redis.md',
  (binary) => {
    test('there is no /backup; a copy of Redis’ own is restored with tags and tokens, and an export is taken by another server', async () => {
      const redis = await startRedis({ binary });
      const [one, two] = [await newPort(), await newPort()];
      const shell = new PageShell('docs/redis.md', { 4000: one, 4001: two, 6379: redis.port });
      const settings = { DATABASE_URL: redis.url, ADMIN_TOKEN: ADMIN };
      server = await startServer(settings);
      const { port } = server;
      const admin = bearer(ADMIN);
      const refused = expectProblem(await ask(port, '/backup', { headers: admin }), 501, 'not-supported');
      expect(refused.detail).toContain('BGSAVE');
      const { token } = await issue(port, { can: ['read', 'write'] });
      const by = bearer(token);
      const kept = await stored(port, 'kept', 'value', by);

      await shell.next('redis-cli -p 6379 --rdb');
      const lost = await stored(port, 'lost', 'value', by);
      const watcher = await EventStream.live(port, '/kv?prefix=', by);
      const id = watcher.lastId!;
      await server.end('SIGTERM');
      const { port: same } = redis;
      await redis.stop();

      try {
        await shell.next('redis-server --port 6379');
        const restored = await startServer({ ...settings, DATABASE_URL: `redis://127.0.0.1:${same}` });
        const entry = await ask(restored.port, '/kv/kept', { headers: by });
        expect([entry.text, entry.headers.etag]).toEqual(['value', kept]);
        expect((await ask(restored.port, '/kv/lost', { headers: by })).status).toBe(404);
        expect(await stored(restored.port, 'lost', 'again', by)).not.toBe(lost);
        const returned = await EventStream.live(restored.port, '/kv?prefix=', { ...by, 'Last-Event-ID': id });
        expect(returned.events[0]?.event).toBe('reset');
        returned.close();
        await restored.end('SIGTERM');
      } finally {
        await cli(same, 'SHUTDOWN', 'NOSAVE').catch(() => undefined);
      }

      server = await startServer({ PORT: String(one) });
      const second = await startServer({ DATABASE_URL: 'memory:', PORT: String(two) });
      await put(one, 'exported', 'value');
      const { stdout } = await shell.next('backup.ndjson');
      expect(stdout).toContain('{"end":true,"count":1,');
      expect(await valueOf(two, 'exported')).toBe('value');
      await second.end();
      expect(shell.left).toBe(0);
    });
  },
  requireProgram('redis-server').describe,
);
