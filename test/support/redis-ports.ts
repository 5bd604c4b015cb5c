import { createServer } from 'node:net';

/** The port of the cluster bus is this far above the port for clients (cluster-port in redis.conf). */
const BUS_OFFSET = 10_000;

/**
 * Ports for clients and for the bus stay below 32768, from where Linux assigns ports itself (ip_local_port_range). Each
 * process has a block of its own, so that a server finds its port free again after a restart.
 */
const FIRST = 12_000;
const BLOCK = 100;
const BLOCKS = BUS_OFFSET / BLOCK;

const taken = new Set<number>();
let next = Math.floor(Math.random() * BLOCK);

/** Reserves a free loopback port, whose bus port is free too, until `releasePort`. */
export async function takePort(): Promise<number> {
  for (let tries = 0; tries < BLOCK; tries++) {
    const port = FIRST + (process.pid % BLOCKS) * BLOCK + (next++ % BLOCK);
    if (taken.has(port)) continue;
    taken.add(port);
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port;
    taken.delete(port);
  }
  throw new Error(`None of this process's ${BLOCK} ports for Redis is free`);
}

export function releasePort(port: number): void {
  taken.delete(port);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
