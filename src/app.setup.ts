import type { INestApplication } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { logAccess } from './http/server/access-log.js';
import { Cors } from './http/gate/cors.js';
import { FastExpressAdapter } from './http/server/fast-express.adapter.js';
import { AllowedHosts } from './http/gate/allowed-hosts.js';
import { NotFoundFilter } from './http/answer/not-found.filter.js';
import { RequestGate } from './http/gate/request-gate.js';
import { ApiDocument } from './openapi/api-document.js';

/** The gate and the adapter behind it, as `config` wants them. */
export function createHttp(config: AppConfig): { gate: RequestGate; adapter: FastExpressAdapter } {
  const gate = new RequestGate(
    new AllowedHosts([config.host, ...config.allowedHosts]),
    new Cors(config.corsOrigins),
  );
  return { gate, adapter: new FastExpressAdapter(gate, config.logLevel === 'debug' ? logAccess : undefined) };
}

/** What the server and the HTTP tests do alike to an application that exists. */
export function setUp(app: INestApplication): void {
  app.useGlobalFilters(new NotFoundFilter());
  app.get(ApiDocument).describe(app);
}
