import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ask } from '../../support/http.js';
import { NDJSON } from '../../support/kv.js';
import { describeWaits, waitsDuring } from '../../support/probe.js';
import { startServer, type ServerProcess } from '../../support/server.js';

/*
 * One heavy request must not hold up the others. Without giving way, a reader who takes these 120 MB as fast as they come
 * kept everybody else waiting for all of the 1.2 to 1.8 s that it takes.
 */
const ENTRIES = 40_000;
const VALUE = 'v'.repeat(3000);
/** Far above the limit of 50 ms. On a busy machine everything takes longer, the heavy request too. */
const HANG_MS = 2_000;
const HANG_SHARE = 0.5;

/** Reads an answer in a process of its own, as fast as it comes, to its end or up to the first `event: ready`. */
const READER = `
  const [port, path, accept] = process.argv.slice(1);
  const socket = require('node:net').connect(port, '127.0.0.1');
  socket.write('GET ' + path + ' HTTP/1.0\\r\\nHost: localhost\\r\\nAccept: ' + accept + '\\r\\n\\r\\n');
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (chunk.includes('event: ready')) socket.destroy();
  });
  socket.on('close', () => process.stdout.write(String(bytes)));
`;

let server: ServerProcess;
let lines: Buffer;

beforeAll(async () => {
  server = await startServer();
  const line = (key: string) => `${JSON.stringify({ key, value: VALUE })}\n`;
  lines = Buffer.from(Array.from({ length: ENTRIES }, (_, i) => line(`k/${i}`)).join(''));
  await ask(server.port, '/set?read=value');
  expect((await post()).created).toBe(ENTRIES);
});

afterAll(() => server.end());

async function post(): Promise<{ created: number; updated: number }> {
  const answer = await ask(server.port, '/kv', { method: 'POST', headers: NDJSON, body: lines });
  expect(answer.status).toBe(200);
  return JSON.parse(answer.text) as { created: number; updated: number };
}

/** Returns how many bytes the reader got. */
async function read(path: string, accept: string): Promise<number> {
  const reader = spawn(process.execPath, ['-e', READER, String(server.port), path, accept], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = '';
  reader.stdout.setEncoding('utf8').on('data', (text: string) => (bytes += text));
  await once(reader, 'close');
  return Number(bytes);
}

async function holdsUpNobody(what: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  const waits = await waitsDuring(server.port, 'read', work);
  const hang = Math.max(HANG_MS, (performance.now() - start) * HANG_SHARE);
  process.stdout.write(`${what}: ${describeWaits(waits)}\n`);
  expect(waits.longest).toBeLessThan(hang);
}

test.each([
  ['GET /', '/', '*/*'],
  ['an export', '/kv', 'application/x-ndjson'],
  ['the snapshot of a watch', '/', 'text/event-stream'],
])('%s of 120 MB holds up no other request', async (what, path, accept) => {
  await holdsUpNobody(what, async () => {
    expect(await read(path, accept)).toBeGreaterThan(ENTRIES * VALUE.length);
  });
});

test('several of them at once hold up no other request', async () => {
  await holdsUpNobody('four exports', () =>
    Promise.all(Array.from({ length: 4 }, () => read('/kv', 'application/x-ndjson'))),
  );
});

test('an import holds up no other request', async () => {
  await holdsUpNobody('an import', async () => expect((await post()).updated).toBe(ENTRIES));
});

test('counting and deleting a range hold up no other request', async () => {
  await holdsUpNobody('a count', async () => {
    const answer = await ask(server.port, '/kv?prefix=k/', { method: 'HEAD' });
    expect(answer.headers['kv-count']).toBe(String(ENTRIES));
  });
  await holdsUpNobody('a range delete', async () => {
    const answer = await ask(server.port, '/kv?prefix=k/', { method: 'DELETE' });
    expect(JSON.parse(answer.text)).toEqual({ deleted: ENTRIES });
  });
});
