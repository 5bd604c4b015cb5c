import { randomBytes } from 'node:crypto';
import { RedisClient, RESP_TYPES } from '@redis/client';
import type { HostPort, RedisAddress } from './redis-url.js';

const CONNECT_WITHIN_MS = 2_000;
const LONGEST_PAUSE_MS = 1_000;
/** What this process calls itself, so that servers that share a database can count each other. */
export const OWN_NAME = `pigeonhole-${randomBytes(6).toString('hex')}`;
/** Finds such names, and the numbers of the databases, in what CLIENT LIST says. */
export const CLIENT_NAME = / name=(?<name>pigeonhole-[0-9a-f]{12}) .*? db=(?<database>[0-9]+) /g;
const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const VERSION = { RESP: 2 } as const;
/** Made once: the library's createClient makes a class with all its commands for every address, some 15 ms each. */
const newClient = RedisClient.factory(VERSION);

/** A client that is not connected yet. @param again whether a connection that ends is made anew */
export function makeClient(address: RedisAddress, { host, port }: HostPort, again: boolean) {
  const socket = {
    host,
    port,
    connectTimeout: CONNECT_WITHIN_MS,
    // For ever: the library's own strategy gives up after a timeout.
    reconnectStrategy: again
      ? (retries: number) => Math.min(LONGEST_PAUSE_MS, 2 ** retries * 20) * (0.5 + Math.random() / 2)
      : (false as const),
  };
  const options = {
    ...VERSION,
    socket: address.tls ? { ...socket, tls: true as const } : socket,
    username: address.username,
    password: address.password,
    database: address.database,
    name: OWN_NAME,
    // It is unbounded, and keeps what nobody waits for any more.
    disableOfflineQueue: true,
    commandOptions: { typeMapping: BYTES, timeout: undefined },
    maintNotifications: 'disabled' as const,
    disableClientInfo: true,
  };
  return newClient(options);
}

export type Client = ReturnType<typeof makeClient>;

/** Ends a connection, also one that is just being made, which the library would forget and leave open. */
export function endClient(client: Client): void {
  client.on('connect', () => client.destroy());
  client.destroy();
}
