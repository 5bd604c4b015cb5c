#!/usr/bin/env node
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { createHttp, setUp } from './app.setup.js';
import { loadConfig, type AppConfig } from './config/app-config.js';
import { StartError } from './errors.js';
import { ServerLogger } from './http/server-logger.js';
import { shutDownOnSignals } from './http/shutdown.js';
import { withoutPassword } from './storage/engine-factory.js';

try {
  await serve(loadConfig(process.env));
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`pigeonhole: ${error.message}`);
  process.exit(1);
}

async function serve(config: AppConfig): Promise<void> {
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
  announce(config, await app.getUrl());
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

function announce(config: AppConfig, url: string): void {
  const logger = new Logger('Server');
  logger.log(`Listening on ${url}, data in ${withoutPassword(config.databaseUrl)}`);
  if (config.allowAnonymous) {
    logger.warn(
      'ALLOW_ANONYMOUS is on: whoever reaches this address, and any web page they visit, can read and write',
    );
  }
}
