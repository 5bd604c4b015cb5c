import { afterEach, beforeEach, describe, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { endClient, makeClient } from '../../../../src/storage/redis/cluster-client/node-redis.js';
import { parseRedisUrl } from '../../../../src/storage/redis/cluster-client/redis-url.js';
import { eventually } from '../../../support/eventually.js';

describe('a connection to Redis that is ended', () => {
  /** Accepts connections and never replies. */
  let server: Server;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    server = createServer((socket) => sockets.push(socket.resume().on('error', () => undefined)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    server.close();
  });

  test.each([true, false])(
    'while it connects does not stay open, whether or not it would reconnect: %s',
    async (reconnects) => {
      const { port } = server.address() as AddressInfo;
      const address = { host: '127.0.0.1', port };
      for (const wait of [0, 1, 50]) {
        const client = makeClient(parseRedisUrl(`redis://127.0.0.1:${port}`)!, address, reconnects);
        client.on('error', () => undefined);
        client.connect().catch(() => undefined);
        if (wait > 0) await pause(wait);
        endClient(client);
      }
      await eventually(() => sockets.length === 3 && sockets.every(({ closed }) => closed));
    },
  );
});
