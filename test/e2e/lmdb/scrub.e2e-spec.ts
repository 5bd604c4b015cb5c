import { afterAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SoundFile } from '../../support/damaged-file.js';
import { eventually } from '../../support/eventually.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const DATABASE_URL = `lmdb:${folder}`;
const settings = { DATABASE_URL, SCRUB_EVERY: '1s' };
/** So many that they take several slices. */
const COUNT = 15_000;
let server: ServerProcess;

afterAll(() => server.end());

const nameOf = (i: number) => `k/${String(i).padStart(6, '0')}`;
const urlOf = (path: string) => `http://127.0.0.1:${server.port}${path}`;

async function fill(): Promise<void> {
  const lines = Array.from({ length: COUNT }, (_, i) => `{"key":"${nameOf(i)}","value":"value ${i}"}\n`);
  await fetch(urlOf('/kv'), {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  });
}

async function stateOf(): Promise<{ status: number; notes: string[] }> {
  const response = await fetch(urlOf('/health/ready'));
  const { details } = (await response.json()) as { details: { database: { notes?: string[] } } };
  return { status: response.status, notes: details.database.notes ?? [] };
}

function log(): string {
  const { stdout, stderr } = server.output();
  return stdout + stderr;
}

/** The processes that read for the background check. */
function readersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.map(Number).flatMap((child) => {
    const command = readFileSync(`/proc/${child}/cmdline`, 'utf8');
    return command.includes('scrub/reader.js') ? [child] : readersOf(child);
  });
}

describe('damage that nobody has read', () => {
  const damaged = [nameOf(100), nameOf(COUNT - 100)];

  test('is in the log, once for each key, and in the notes of a server that is still ready', async () => {
    server = await startServer({ DATABASE_URL });
    await fill();
    await server.end('SIGTERM');
    const file = join(folder, 'data.mdb');
    const sound = new SoundFile(file);
    const bytes = sound.copy();
    for (const key of damaged) bytes[sound.entries.get(key)!.valueAt + 1]! ^= 1;
    writeFileSync(file, bytes);
    server = await startServer(settings);
    await eventually(async () => (await stateOf()).notes.length > 0, 'a note');
    const { status, notes } = await stateOf();
    expect({ status, notes }).toEqual({
      status: 200,
      notes: [expect.stringMatching(/^The background check has found damage in one place of the data file/)],
    });
    expect(log().split(damaged[0]!)).toHaveLength(2);
    expect((await fetch(urlOf(`/kv/${damaged[0]}`))).status).toBe(500);
    expect(log().split(damaged[0]!)).toHaveLength(2);
  });

  test('is looked for by another process after one that dies, from where that one was', async () => {
    const [reader] = readersOf(server.pid);
    process.kill(reader!, 'SIGKILL');
    await eventually(() => /background check ended \(SIGKILL\) as it read from/.test(log()), 'a line');
    expect(log()).toMatch(/as it read from \\?"k\/\d+.*of entries/);
    await eventually(() => readersOf(server.pid).some((pid) => pid !== reader), 'another');
    expect((await stateOf()).status).toBe(200);
  });

  test('is still known after a restart, to every worker, of which one looks for more', async () => {
    await server.end('SIGTERM');
    server = await startServer({ ...settings, WORKERS: '2' });
    for (let i = 0; i < 10; i++) expect((await stateOf()).notes).toHaveLength(1);
    await eventually(() => readersOf(server.pid).length > 0, 'a reader');
    expect(readersOf(server.pid)).toHaveLength(1);
    // It goes on after the first key, which it has read.
    expect(log()).not.toContain(damaged[0]);
  });

  test('is looked for by no process that outlives its server', async () => {
    const readers = readersOf(server.pid);
    await server.end('SIGTERM');
    const isGone = (pid: number): boolean => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    };
    await eventually(() => readers.every(isGone), 'their end');
  });
});
