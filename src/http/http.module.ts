import { Module } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import { BodyReader } from './request/body-reader.js';
import { ProblemsController } from './answer/problems.controller.js';

/** What the features share of HTTP: bodies, and the table of errors. */
@Module({
  providers: [
    {
      provide: BodyReader,
      inject: [AppConfig],
      useFactory: (config: AppConfig) => new BodyReader(config),
    },
  ],
  controllers: [ProblemsController],
  exports: [BodyReader],
})
export class HttpModule {}
