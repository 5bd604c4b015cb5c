import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { expectProblem, stored } from '../../support/kv.js';
import { anonymousMemory } from '../../support/memory.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const MIB = 2 ** 20;
const VALUE_BYTES = 16 * MIB;
const DEAF = 30;
const WITHIN_MS = 60_000;

const get = (path: string, header = 'Accept: */*') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`;
const LAST = 'Connection: close';
const batchOf = (key: string) => {
  const body = JSON.stringify({ ops: [{ op: 'get', key }] });
  return `POST /batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer();
  await stored(server.port, 'large', Buffer.alloc(VALUE_BYTES, 'x'));
  await stored(server.port, 'medium', 'x'.repeat(60_000));
  await stored(server.port, 'small', 'x');
  for (let i = 0; i < 4; i++) await stored(server.port, `page/${i}`, Buffer.alloc(MIB, 'x'));
});
afterAll(() => server.end());

/** Reads a whole answer at about 1 MiB/s. Returns its length with the head. */
function readSlowly(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const socket = net.connect(server.port, '127.0.0.1').on('error', reject);
    socket.on('data', (bytes) => {
      received += bytes.length;
      socket.pause();
      setTimeout(() => socket.resume(), bytes.length / 1024);
    });
    socket.on('close', () => resolve(received));
    socket.write(get(path, LAST));
  });
}

/** Sends requests and reads nothing. */
function deafClient(requests: string, port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1').pause();
  socket.on('error', () => undefined).write(requests);
  return socket;
}

describe('answers that nobody reads', () => {
  test(
    'are refused beyond a budget, disturb nobody who reads, and make way',
    async () => {
      const before = anonymousMemory(server.pid);
      let most = before;
      const sample = () => (most = Math.max(most, anonymousMemory(server.pid)));
      const reading = readSlowly('/kv/large');
      await pause(100);
      const deaf = [
        ...Array.from({ length: DEAF }, () => get('/kv/large', LAST)),
        ...Array.from({ length: 6 }, () => get('/get?key=large')),
        ...Array.from({ length: 6 }, () => get('/kv?values=true&prefix=page/').repeat(4)),
        ...Array.from({ length: 6 }, () => get('/kv/medium').repeat(1500)),
        ...Array.from({ length: 2 }, () => batchOf('large')),
        ...Array.from({ length: 2 }, () => get('/')),
        ...Array.from({ length: 2 }, () => get('/openapi.json').repeat(50)),
      ].map((requests) => deafClient(requests, server.port));

      const until = performance.now() + WITHIN_MS;
      let refused = await ask(server.port, '/kv/large');
      while (refused.status === 200 && performance.now() < until)
        refused = await ask(server.port, '/kv/large');
      expectProblem(refused, 503, 'busy');
      let large = 503;
      while (large === 503 && performance.now() < until) {
        sample();
        expect((await ask(server.port, '/kv/small')).status).toBe(200);
        expect((await ask(server.port, '/kv/other', { method: 'PUT', body: 'x' })).status).toBeLessThan(300);
        await pause(250);
        large = (await ask(server.port, '/kv/large')).status;
      }
      deaf.forEach((each) => each.destroy());
      process.stdout.write(
        `unread answers: ${deaf.length} clients, memory at most +${Math.round((most - before) / MIB)} MiB\n`,
      );
      expect(large).toBe(200);
      expect(await reading).toBeGreaterThan(VALUE_BYTES);
    },
    2 * WITHIN_MS,
  );

  test('count as a whole while they wait to be written', async () => {
    const bytes = 8 * MIB;
    const other = await startServer({ MAX_VALUE_BYTES: String(bytes) });
    await stored(other.port, 'large', Buffer.alloc(bytes, 'x'));
    const page = '/kv?values=true&prefix=large';
    const statusOf = async () => (await ask(other.port, page)).status;
    const deaf = Array.from({ length: 20 }, () => deafClient(get(page), other.port));
    await eventually(async () => (await statusOf()) === 503, 'the refusal');
    deaf.forEach((each) => each.destroy());
    await eventually(async () => (await statusOf()) === 200, 'the answer');
    await other.end();
  });
});
