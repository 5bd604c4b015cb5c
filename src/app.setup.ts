import type { INestApplication } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { logAccess } from './http/access-log.js';
import { Cors } from './http/cors.js';
import { FastExpressAdapter } from './http/fast-express.adapter.js';
import { Hosts } from './http/hosts.js';
import { NotFoundFilter } from './http/not-found.filter.js';
import { RequestGate } from './http/request-gate.js';
import { ApiDocument } from './openapi/api-document.js';

/** The gate and the adapter behind it, as `config` wants them. */
export function createHttp(config: AppConfig): { gate: RequestGate; adapter: FastExpressAdapter } {
  const gate = new RequestGate(
    new Hosts([config.host, ...config.allowedHosts]),
    new Cors(config.corsOrigins),
  );
  return { gate, adapter: new FastExpressAdapter(gate, config.logLevel === 'debug' ? logAccess : undefined) };
}

/** What the server and the HTTP tests do alike to an application that exists. */
export function setUp(app: INestApplication): void {
  app.useGlobalFilters(new NotFoundFilter());
  app.get(ApiDocument).describe(app);
}
