import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { createHttp, setUp } from './app.setup.js';
import { loadConfig } from './config/app-config.js';
import { ApiDocument, BUILT_DOCUMENT } from './openapi/api-document.js';

/* The part of `npm run build` that writes the OpenAPI document into the build. */

const config = loadConfig({ DATABASE_URL: 'memory:' });
const app = await NestFactory.create(AppModule.with(config), createHttp(config).adapter, {
  logger: ['error', 'warn'],
  bodyParser: false,
});
setUp(app);
writeFileSync(BUILT_DOCUMENT, await app.get(ApiDocument).make());
await app.close();
