import { createServer } from 'node:net';

/** A cluster's nodes talk to each other this far above the port for clients (cluster-port in redis.conf). */
const BUS_OFFSET = 10_000;

/**
 * Ports for clients and, above them, for the bus stay below 32768, where Linux starts to give out ports of its own
 * (ip_local_port_range). Each process has a block: a server that is down for a moment finds its port free again.
 */
const FIRST = 12_000;
const BLOCK = 100;
const BLOCKS = BUS_OFFSET / BLOCK;

const taken = new Set<number>();
let next = Math.floor(Math.random() * BLOCK);

/** A loopback port that is free, as is the one for its cluster bus; nobody else in this process gets it until it is released. */
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
