import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { BackupModule } from '../backup/backup.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { HealthController } from './health.controller.js';
import { Health } from './health.js';

/** Whether the server is alive and ready. */
@Module({
  imports: [StorageModule, AuthModule, BackupModule],
  providers: [Health],
  controllers: [HealthController],
  exports: [Health],
})
export class HealthModule {}
