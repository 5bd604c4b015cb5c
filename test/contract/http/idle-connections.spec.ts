import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import http, { type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { IdleConnections } from '../../../src/http/server/idle-connections.js';
import { eventually } from '../../support/eventually.js';
import { lines } from '../../support/raw-http.js';

const REQUEST = lines('GET / HTTP/1.1', 'Host: localhost');
/** With the second that Node adds. The first check may come at once. */
const CHECKS = 4;

let server: Server;
let connections: IdleConnections;
let client: Socket;
let socket: Socket;
let received: string;
/** Requests that are not answered yet. */
let open: ServerResponse[];

beforeEach(async () => {
  open = [];
  received = '';
  server = http.createServer({ keepAliveTimeout: 2_000 }, (_request, response) => open.push(response));
  // Its own checks never come.
  connections = new IdleConnections(server, 2 ** 30);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = once(server, 'connection');
  client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.setEncoding('latin1').on('data', (text: string) => (received += text));
  [socket] = (await connection) as [Socket];
});
afterEach(() => {
  client.destroy();
  server.close();
});

function check(times: number): void {
  for (let i = 0; i < times; i++) connections.check();
}

async function askAndAnswer(): Promise<void> {
  client.write(REQUEST);
  await eventually(() => open.length === 1);
  const over = once(open[0]!, 'close');
  open.pop()!.end('answer');
  await over;
}

describe('a connection', () => {
  test('is ended when nothing is asked on it for as long as Node says', async () => {
    await askAndAnswer();
    // The bytes of the request are new to the first.
    check(1 + CHECKS - 1);
    expect(socket.destroyed).toBe(false);
    const end = once(client, 'close');
    check(1);
    expect(socket.destroyed).toBe(true);
    await end;
    expect(received).toContain('answer');
  });

  test('is not ended while an answer is under way', async () => {
    await askAndAnswer();
    client.write(REQUEST);
    await eventually(() => open.length === 1);
    check(100);
    expect(socket.destroyed).toBe(false);
  });

  test('has its whole time again after the next answer', async () => {
    await askAndAnswer();
    check(CHECKS);
    await askAndAnswer();
    check(CHECKS);
    expect(socket.destroyed).toBe(false);
  });

  test('is not ended while it brings bytes', async () => {
    await askAndAnswer();
    for (const byte of REQUEST.slice(0, 20)) {
      const before = socket.bytesRead;
      client.write(byte);
      await eventually(() => socket.bytesRead > before);
      check(CHECKS);
      expect(socket.destroyed).toBe(false);
    }
  });

  test('is not ended before its first request', () => {
    check(100);
    expect(socket.destroyed).toBe(false);
  });
});
