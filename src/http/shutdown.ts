import type { Server } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import type { RequestGate } from './request-gate.js';

const DEADLINE_MS = 9_000;
const SWEEP_MS = 50;

/**
 * Ends the process on SIGTERM and SIGINT: no new request is taken, those inside finish, then the store closes. After
 * 9 s whoever is still being answered is cut off, so that the process has ended within 10 s.
 */
export function shutDownOnSignals(app: INestApplication, gate: RequestGate): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    void drain(app, gate, signal);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

async function drain(app: INestApplication, gate: RequestGate, signal: NodeJS.Signals): Promise<void> {
  const server = app.getHttpServer() as Server;
  gate.drain();
  // A connection becomes idle when its last answer is out; closing the server ends only those idle at that moment.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
  await app.close();
  clearInterval(sweep);
  clearTimeout(deadline);
  process.exitCode = 0;
  void signal;
}
