import { randomBytes } from 'node:crypto';
import { RedisClient, RESP_TYPES } from '@redis/client';
import type { HostPort, RedisUrl } from './redis-url.js';

const CONNECT_TIMEOUT_MS = 2_000;
const MAX_RECONNECT_DELAY_MS = 1_000;
/** The client name of this process, by which processes that share a database count each other. */
const CLIENT_NAME = `pigeonhole-${randomBytes(6).toString('hex')}`;
const LISTED_CLIENT = / name=(?<name>pigeonhole-[0-9a-f]{12}) .*? db=(?<database>[0-9]+) /g;
const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const VERSION = { RESP: 2 } as const;
/** Made once: the library's createClient makes a class with all its commands for every address, some 15 ms each. */
const newClient = RedisClient.factory(VERSION);

export type Client = ReturnType<typeof makeClient>;

/** Makes a client, which is not connected yet. @param reconnects whether it connects again after a connection has ended */
export function makeClient(url: RedisUrl, { host, port }: HostPort, reconnects: boolean) {
  const socket = {
    host,
    port,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Without end: the library's own strategy gives up after a timeout.
    reconnectStrategy: reconnects
      ? (retries: number) => Math.min(MAX_RECONNECT_DELAY_MS, 2 ** retries * 20) * (0.5 + Math.random() / 2)
      : (false as const),
  };
  const options = {
    ...VERSION,
    socket: url.tls ? { ...socket, tls: true as const } : socket,
    username: url.username,
    password: url.password,
    database: url.database,
    name: CLIENT_NAME,
    // That queue is unbounded, and keeps commands whose caller has given up.
    disableOfflineQueue: true,
    commandOptions: { typeMapping: BYTES, timeout: undefined },
    maintNotifications: 'disabled' as const,
    disableClientInfo: true,
  };
  return newClient(options);
}

/** Ends a client, even while it connects: the library would forget that connection and leave it open. */
export function endClient(client: Client): void {
  client.on('connect', () => client.destroy());
  client.destroy();
}

/** The client names of other Pigeonhole processes that use `database`, in the reply of CLIENT LIST. */
export function otherProcesses(clientList: string, database: number): string[] {
  return [...clientList.matchAll(LISTED_CLIENT)]
    .map(({ groups }) => groups!)
    .filter(({ name, database: number }) => name !== CLIENT_NAME && Number(number) === database)
    .map(({ name }) => name!);
}
