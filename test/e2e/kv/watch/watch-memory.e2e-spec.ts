import { afterAll, beforeAll, expect, test } from '@jest/globals';
import net from 'node:net';
import { anonymousMemory } from '../../../support/memory.js';
import { startServer, type ServerProcess } from '../../../support/server.js';

const WATCHERS = 2000;
/** What a watcher takes at least, bytes; measured is three times as much. */
const LEAST = 2 * 1024;
const CROWDS = 6;
const LEAK = CROWDS * WATCHERS * LEAST;
const TRIES = 4;

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ DATABASE_URL: 'memory:', MAX_WATCHERS: String(WATCHERS) });
});
afterAll(() => server.end());

function watcher(): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.port, '127.0.0.1').on('error', reject);
    socket.on('data', (bytes) => {
      if (bytes.includes('event: ready')) resolve(socket);
    });
    socket.write('GET /kv?prefix=a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n');
  });
}

/** A crowd comes and leaves. */
async function crowd(): Promise<void> {
  const sockets: net.Socket[] = [];
  while (sockets.length < WATCHERS)
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, watcher))));
  for (const socket of sockets) socket.destroy();
}

test('crowds of watchers that come and leave take no more memory each time', async () => {
  // The first ones make V8's young generation grow, which stays.
  await crowd();
  await crowd();
  // When V8 collects is its own affair, so memory may grow for a while; a leak makes it grow every time.
  let growth = Infinity;
  for (let tries = 0; tries < TRIES && growth >= LEAK; tries++) {
    const before = anonymousMemory(server.pid);
    for (let i = 0; i < CROWDS; i++) await crowd();
    growth = anonymousMemory(server.pid) - before;
  }
  expect(growth).toBeLessThan(LEAK);
});
