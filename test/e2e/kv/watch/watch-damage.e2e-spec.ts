import { afterEach, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../../../support/http.js';
import { pathOf, stored } from '../../../support/kv.js';
import { EventStream, stateAfter } from '../../../support/events.js';
import { startServer, type ServerProcess } from '../../../support/server.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

/** It is stored and deleted again, so that only the log of changes still refers to it. */
const LOGGED_ONLY = 'a-key-that-occurs-in-the-log-of-changes-only';

let server: ServerProcess;
const open: EventStream[] = [];
afterEach(async () => {
  for (const stream of open.splice(0)) stream.close();
  await server.end();
});

async function live(path: string, lastId?: string): Promise<EventStream> {
  const stream = await EventStream.live(
    server.port,
    path,
    lastId === undefined ? {} : { 'Last-Event-ID': lastId },
  );
  open.push(stream);
  return stream;
}

/** Changes one letter of LOGGED_ONLY wherever the data file has it, which a server that runs sees too. */
function damage(folder: string): void {
  const file = join(folder, 'data.mdb');
  const bytes = readFileSync(file);
  let found = 0;
  for (let at = bytes.indexOf(LOGGED_ONLY); at >= 0; at = bytes.indexOf(LOGGED_ONLY, at + 1), found++)
    bytes.write('A', at);
  expect(found).toBeGreaterThan(1);
  writeFileSync(file, bytes, { flag: 'r+' });
}

async function startWithLog(): Promise<string> {
  const folder = temporaryFolder();
  server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  return folder;
}

async function logAndDelete(): Promise<void> {
  await stored(server.port, LOGGED_ONLY, 'x');
  await ask(server.port, pathOf(LOGGED_ONLY), { method: 'DELETE' });
}

test('whoever comes back behind damage in the log is told so, gets a snapshot, and is live again', async () => {
  const folder = await startWithLog();
  const before = await live('/kv');
  before.close();
  await logAndDelete();
  await stored(server.port, 'kept', 'x');
  damage(folder);
  const again = await live('/kv', before.lastId);
  expect(again.names).toEqual(['reset', 'put', 'ready']);
  const etag = (await stored(server.port, 'later', 'x')).slice(1, -1);
  await again.told('later', etag);
  // What lies behind the damage is served as ever.
  const resumed = await live('/kv', again.events[2]!.id);
  expect(resumed.names).toEqual(['put', 'ready']);
  expect(server.output().stderr.match(/fails its checksum/g)).toHaveLength(1);
});

test('whoever watches when the log is found damaged comes back once, and misses nothing', async () => {
  const folder = await startWithLog();
  const stream = await live('/kv');
  const held = ask(server.port, '/kv/absent', { headers: { Prefer: 'wait=20' }, agent: false });
  await logAndDelete();
  await stream.until(({ event }) => event === 'delete');
  damage(folder);
  const etag = (await stored(server.port, 'unheard', 'x')).slice(1, -1);
  await stream.ended;
  expect((await held).status).toBe(404);
  const again = await live('/kv', stream.lastId);
  expect(again.names).toEqual(['reset', 'put', 'ready']);
  expect(stateAfter(again.events)).toEqual(new Map([['unheard', etag]]));
  await stored(server.port, 'later', 'x');
  await again.told('later');
});
