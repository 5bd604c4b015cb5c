import { afterAll, beforeAll, expect, test } from '@jest/globals';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { anonymousMemory } from '../support/memory.js';
import { startServer, type ServerProcess } from '../support/server.js';

const WATCHERS = 2000;
/** What a watcher takes at least, bytes; measured is twice as much. */
const LEAST = 4 * 1024;
const PATIENCE = 100;

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

/** A crowd comes and leaves. Answers the server's memory while it was there. */
async function crowd(): Promise<number> {
  const sockets: net.Socket[] = [];
  while (sockets.length < WATCHERS)
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, watcher))));
  const most = anonymousMemory(server.pid);
  for (const socket of sockets) socket.destroy();
  return most;
}

test('a crowd of watchers that leaves gives its memory back', async () => {
  for (let round = 0; round < 2; round++) {
    const most = await crowd();
    const isBack = () => anonymousMemory(server.pid) < most - WATCHERS * LEAST;
    for (let tries = 0; tries < PATIENCE && !isBack(); tries++) await pause(100);
    expect({ round, isBack: isBack() }).toEqual({ round, isBack: true });
  }
});
