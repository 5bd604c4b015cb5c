#!/usr/bin/env node
import 'reflect-metadata';
import cluster from 'node:cluster';
import { loadConfig, type AppConfig } from './config/app-config.js';
import { StartError, startFailure } from './errors.js';

try {
  const config = loadConfig(process.env);
  if (config.workers > 1 && cluster.isPrimary) await (await import('./workers.js')).superviseWorkers(config);
  else await serve(config);
} catch (error) {
  const line = startFailure(error);
  if (line === undefined) throw error;
  console.error(`pigeonhole: ${line}`);
  process.exit(1);
}

/** Serves requests. The application is loaded only here, so that a supervisor of workers stays small. */
async function serve(config: AppConfig): Promise<void> {
  const { NestFactory } = await import('@nestjs/core');
  const { AppModule } = await import('./app.module.js');
  const { createHttp, setUp } = await import('./app.setup.js');
  const { ServerLogger } = await import('./http/server/server-logger.js');
  const { shutDownOnSignals } = await import('./http/server/shutdown.js');
  const { gate, adapter } = createHttp(config);
  const app = await NestFactory.create(AppModule.with(config), adapter, {
    logger: new ServerLogger(config.logLevel),
    abortOnError: false,
    bodyParser: false,
  });
  setUp(app);
  shutDownOnSignals(app, gate);
  await app.listen(config.port, config.host).catch((error: NodeJS.ErrnoException) => {
    throw error instanceof StartError ? error : cannotListen(config, error);
  });
  if (cluster.isPrimary || cluster.worker!.id === 1) await logListening(config, await app.getUrl());
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

async function logListening(config: AppConfig, url: string): Promise<void> {
  const { Logger } = await import('@nestjs/common');
  const { withoutPassword } = await import('./storage/engine-factory.js');
  const logger = new Logger('Server');
  logger.log(`Listening on ${url}, data in ${withoutPassword(config.databaseUrl)}`);
  if (config.allowAnonymous) {
    logger.warn(
      'ALLOW_ANONYMOUS is on: everybody who reaches this address, and any web page they visit, can read and write',
    );
  }
}
