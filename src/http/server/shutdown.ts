import cluster from 'node:cluster';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger, type INestApplication } from '@nestjs/common';
import { onStop } from '../../process.js';
import { tcpSocketOf } from '../request/tcp-socket.js';
import type { RequestGate } from '../gate/request-gate.js';
import type { ServingSocket } from './serving-socket.js';

const DEADLINE_MS = 9_000;
const SWEEP_MS = 50;
const logger = new Logger('Server');

/**
 * Ends the process on a signal to stop: the server is no longer ready, and goes on serving for `delay` ms. Then new requests
 * are refused, those inside finish, and the store closes. After 9 s connections that are still being answered are cut, so
 * that the process has ended within 10 s after the delay.
 *
 * @param starting the start of `app`, which a signal does not interrupt: a store is closed only when it has been opened
 */
export function shutDownOnSignals(
  app: INestApplication,
  gate: RequestGate,
  starting: Promise<void>,
  delay: number,
): void {
  const server = app.getHttpServer() as Server;
  const closeUnused = unusedConnections(server);
  onStop((signal) => {
    report(stoppingLine(signal, delay, DEADLINE_MS), { signal });
    const serving = delay > 0 && server.listening ? pause(delay) : undefined;
    void drain(app, gate, closeUnused, starting, serving);
  });
}

/** Returns the line of the log on a signal to stop; times in milliseconds. */
export function stoppingLine(signal: NodeJS.Signals, delay: number, deadline: number): string {
  const before = delay === 0 ? '' : `the server goes on for ${delay / 1000} s, then `;
  return `Stopping on ${signal}: ${before}requests under way finish, within ${deadline / 1000} s`;
}

/** Returns a function that ends connections without a request. Node takes silent ones, which browsers open, for busy. */
function unusedConnections(server: Server): () => void {
  const open = new Set<ServingSocket>();
  const add = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  server.on('connection', add);
  server.on('secureConnection', (socket: Socket) => {
    open.delete(tcpSocketOf(socket));
    add(socket);
  });
  return () => {
    for (const socket of open) if (!socket._httpMessage) socket.destroy();
  };
}

async function drain(
  app: INestApplication,
  gate: RequestGate,
  closeUnused: () => void,
  starting: Promise<void>,
  serving: Promise<void> | undefined,
): Promise<void> {
  const server = app.getHttpServer() as Server;
  if (serving) await serving;
  gate.drain();
  // A connection becomes unused when its last answer is out; closing the server ends only those idle at that moment.
  const sweep = setInterval(closeUnused, SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
  const hasStarted = await hasResolved(starting, DEADLINE_MS);
  if (hasStarted) await app.close();
  clearInterval(sweep);
  clearTimeout(deadline);
  report('Stopped');
  // What a start that has failed or hangs has opened would keep the process alive; nobody has been served.
  if (!hasStarted) process.exit(0);
  process.exitCode = 0;
  // The channel to the supervisor would keep the process alive.
  if (process.connected) process.disconnect();
}

/** Returns whether `promise` resolves within `limit` ms. */
function hasResolved(promise: Promise<void>, limit: number): Promise<boolean> {
  const resolved = promise.then(
    () => true,
    () => false,
  );
  return Promise.race([resolved, pause(limit, false, { ref: false })]);
}

/** Logs for the whole server. Workers stay silent; the supervisor reports. */
function report(line: string, members = {}): void {
  if (cluster.isPrimary) logger.log(line, members);
}
