import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { HealthModule } from '../health/health.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { Collector } from './collector.js';
import { MetricsController } from './metrics.controller.js';
import { NewestChanges } from './newest-changes.js';
import { StatsReport } from './stats.js';

/** How the server is doing, in figures. */
@Module({
  imports: [StorageModule, AuthModule, HealthModule],
  providers: [Collector, NewestChanges, StatsReport],
  controllers: [MetricsController],
})
export class MetricsModule {}
