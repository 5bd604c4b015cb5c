import { Module } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { FaviconController } from './answer/favicon.controller.js';
import { ProblemsController } from './answer/problems.controller.js';
import { ClientAddresses } from './request/client-address.js';
import { BodyReader } from './request/body-reader.js';
import { MemoryBudget } from './request/memory-budget.js';

/** What the features share of HTTP: bodies and their memory, where requests come from, the table of errors, and an icon. */
@Module({
  providers: [
    BodyReader,
    {
      provide: MemoryBudget,
      inject: [AppConfig],
      useFactory: (config: AppConfig) => new MemoryBudget(config),
    },
    {
      provide: ClientAddresses,
      inject: [AppConfig],
      useFactory: (config: AppConfig) => new ClientAddresses(config.trustedProxies),
    },
  ],
  controllers: [ProblemsController, FaviconController],
  exports: [BodyReader, ClientAddresses, MemoryBudget],
})
export class HttpModule {}
