#!/usr/bin/env node
import cluster from 'node:cluster';
import type { Server as TlsServer } from 'node:tls';
import type { INestApplication } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import type { RequestGate } from './http/gate/request-gate.js';
import type { Certificates } from './http/server/certificates.js';
import { StartError, startFailure } from './errors.js';
import { endOnSignals, ignoreOutputErrors, isStopping, onReload, reportFailure } from './process.js';

ignoreOutputErrors();
endOnSignals();
try {
  // Imported only here, because everything that is imported above is loaded before signals are handled.
  const { loadConfig } = await import('./config/app-config.js');
  const config = loadConfig(process.env);
  if (config.workers > 1 && cluster.isPrimary) {
    const { superviseWorkers } = await import('./workers.js');
    await superviseWorkers(config);
  } else {
    await serve(config);
  }
} catch (error) {
  if (!isStopping()) {
    const line = startFailure(error);
    if (line === undefined) throw error;
    reportFailure(line);
    process.exit(1);
  }
}

/** Serves requests. The application is loaded only here, so that a supervisor of workers stays small. */
async function serve(config: AppConfig): Promise<void> {
  const certificates = await readCertificates(config);
  await import('reflect-metadata');
  const { NestFactory } = await import('@nestjs/core');
  const { AppModule } = await import('./app.module.js');
  const { createHttp, setUp } = await import('./app.setup.js');
  const { ServerLogger } = await import('./http/server/server-logger.js');
  const { shutDownOnSignals } = await import('./http/server/shutdown.js');
  const { gate, adapter } = createHttp(config);
  const app = await NestFactory.create(AppModule.with(config), adapter, {
    logger: new ServerLogger(config),
    abortOnError: false,
    bodyParser: false,
    httpsOptions: certificates?.options,
  });
  setUp(app);
  const starting = start(app, gate, config);
  shutDownOnSignals(app, gate, starting, config.shutdownDelay);
  await starting;
  if (!certificates) return;
  certificates.follow(app.getHttpServer() as TlsServer);
  onReload(() => certificates.lookAgain());
}

async function readCertificates(config: AppConfig): Promise<Certificates | undefined> {
  if (config.tlsCert === '') return undefined;
  const { Certificates } = await import('./http/server/certificates.js');
  return Certificates.read(config);
}

/** Opens the database, listens, and says where, and how much it has found. */
async function start(app: INestApplication, gate: RequestGate, config: AppConfig): Promise<void> {
  const { Logger } = await import('@nestjs/common');
  await app.init();
  const { FenceWatch } = await import('./storage/fence-watch.js');
  app.get(FenceWatch).follow((refusal) => gate.refuse(refusal));
  const reports = cluster.isPrimary || cluster.worker!.id === 1;
  const entries = reports ? await countEntries(app) : undefined;
  await app.listen(config.port, config.host).catch((error: NodeJS.ErrnoException) => {
    throw cannotListen(config, error);
  });
  if (!reports || isStopping()) return;
  const { announce } = await import('./http/server/announcement.js');
  announce(app, await app.getUrl(), config, entries);
  const { Authenticator } = await import('./auth/authenticator.js');
  if (config.allowAnonymous && !app.get(Authenticator).needsToken) {
    // Over TLS browsers say which site a request comes from.
    const pages = config.tlsCert === '' ? ', and any web page they visit,' : '';
    new Logger('Server').warn(
      `ALLOW_ANONYMOUS is on: everybody who reaches this address${pages} can read and write`,
    );
  }
}

/** Returns how many entries there are, for the log; undefined if a damaged database cannot say. */
async function countEntries(app: INestApplication): Promise<number | undefined> {
  const { StorageEngine } = await import('./storage/storage-engine.js');
  try {
    return (await app.get(StorageEngine).stats()).entries;
  } catch {
    return undefined;
  }
}

function cannotListen({ host, port }: AppConfig, error: NodeJS.ErrnoException): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new StartError(
        `PORT ${port} on ${host} is in use by another program. Stop it or set another PORT.`,
      );
    case 'EACCES':
      return new StartError(`PORT ${port} needs rights that this user does not have. Set a PORT above 1023.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new StartError(`HOST ${host} is not an address of this machine.`);
    default:
      return error;
  }
}
