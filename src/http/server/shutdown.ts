import cluster from 'node:cluster';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { Logger, type INestApplication } from '@nestjs/common';
import type { RequestGate } from '../gate/request-gate.js';

const DEADLINE_MS = 9_000;
const SWEEP_MS = 50;
const logger = new Logger('Server');

/**
 * Ends the process on SIGTERM and SIGINT: new requests are refused, those inside finish, then the store closes. After
 * 9 s connections that are still being answered are cut, so that the process has ended within 10 s.
 */
export function shutDownOnSignals(app: INestApplication, gate: RequestGate): void {
  const closeUnused = unusedConnections(app.getHttpServer() as Server);
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    report(`Stopping on ${signal}: requests under way finish, within ${DEADLINE_MS / 1000} s`);
    void drain(app, gate, closeUnused);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

/** Returns a function that ends connections without a request. Node takes silent ones, which browsers open, for busy. */
function unusedConnections(server: Server): () => void {
  const open = new Set<Socket & { _httpMessage?: ServerResponse | null }>();
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) if (!socket._httpMessage) socket.destroy();
  };
}

async function drain(app: INestApplication, gate: RequestGate, closeUnused: () => void): Promise<void> {
  const server = app.getHttpServer() as Server;
  gate.drain();
  // A connection becomes unused when its last answer is out; closing the server ends only those idle at that moment.
  const sweep = setInterval(closeUnused, SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
  await app.close();
  clearInterval(sweep);
  clearTimeout(deadline);
  report('Stopped');
  process.exitCode = 0;
  // The channel to the supervisor would keep the process alive.
  if (process.connected) process.disconnect();
}

/** Logs for the whole server. Workers stay silent; the supervisor reports. */
function report(line: string): void {
  if (cluster.isPrimary) logger.log(line);
}
