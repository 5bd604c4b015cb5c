import type { IncomingMessage, RequestListener } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import { AccessGuard } from './auth/access-guard.js';
import { AppConfig, isLoopback } from './config/app-config.js';
import { logAccess } from './http/server/access-log.js';
import { Cors } from './http/gate/cors.js';
import { FastExpressAdapter } from './http/server/fast-express.adapter.js';
import { AllowedHosts } from './http/gate/allowed-hosts.js';
import { setProblemBase } from './http/answer/answer.js';
import { DatabaseErrorFilter } from './http/answer/database-error.filter.js';
import { NotFoundFilter } from './http/answer/not-found.filter.js';
import { RequestGate } from './http/gate/request-gate.js';
import { ClientAddresses } from './http/request/client-address.js';
import { memoryLimit } from './http/request/memory-budget.js';
import { JSON_DOCUMENT } from './http/request/accept.js';
import { withKeyInPath } from './kv/key.js';
import { wantsEvents } from './kv/watch/watch.endpoint.js';
import { ApiDocument } from './openapi/api-document.js';

/** Makes the gate and the adapter that `config` asks for. */
export function createHttp(config: AppConfig): { gate: RequestGate; adapter: FastExpressAdapter } {
  const gate = new RequestGate(
    new AllowedHosts([config.host, ...publicHosts(config), ...config.allowedHosts], isLoopback(config.host)),
    new Cors(config.corsOrigins),
    (request) => withKeyInPath(request.url!, () => mayNameSeveral(request)),
  );
  return { gate, adapter: new FastExpressAdapter(gate, memoryLimit(config), accessLog(config)) };
}

/** A watch names several keys and prefixes, and a browser asks with OPTIONS whether its page may send that. */
function mayNameSeveral(request: IncomingMessage): boolean {
  return request.method === 'OPTIONS' || wantsEvents(request, JSON_DOCUMENT);
}

function accessLog({ accessLog, logLevel, trustedProxies }: AppConfig): RequestListener | undefined {
  if (!accessLog && logLevel !== 'debug') return undefined;
  const addresses = new ClientAddresses(trustedProxies);
  return (request, response) => logAccess(request, response, addresses.of(request));
}

/** The host of PUBLIC_URL, which is what a proxy passes on. */
function publicHosts({ publicUrl }: AppConfig): string[] {
  return publicUrl === '' ? [] : [new URL(publicUrl).hostname];
}

/** Prepares an application, the server's or a test's, for requests. */
export function setUp(app: INestApplication): void {
  const { publicUrl } = app.get(AppConfig);
  setProblemBase(publicUrl);
  // The last filter that fits an exception wins, so the catch-all stands first.
  app.useGlobalFilters(new NotFoundFilter(publicUrl), new DatabaseErrorFilter());
  (app.getHttpAdapter() as FastExpressAdapter).guard = app.get(AccessGuard);
  app.get(ApiDocument).describe(app);
}
