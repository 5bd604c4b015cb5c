import { Module, type DynamicModule } from '@nestjs/common';
import { AuthModule } from './auth/auth.module.js';
import { BackupModule } from './backup/backup.module.js';
import type { AppConfig } from './config/app-config.js';
import { ConfigModule } from './config/config.module.js';
import { ConsoleModule } from './console/console.module.js';
import { HealthModule } from './health/health.module.js';
import { KvModule } from './kv/kv.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { OpenApiModule } from './openapi/openapi.module.js';

/** The composition root. */
@Module({})
export class AppModule {
  static with(config: AppConfig): DynamicModule {
    const imports = [
      ConfigModule.with(config),
      KvModule,
      AuthModule,
      BackupModule,
      HealthModule,
      MetricsModule,
      OpenApiModule,
      ConsoleModule,
    ];
    return { module: AppModule, imports };
  }
}
