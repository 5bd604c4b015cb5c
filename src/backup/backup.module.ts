import { Module } from '@nestjs/common';
import { StorageModule } from '../storage/storage.module.js';
import { BackupController } from './backup.controller.js';
import { BackupSchedule } from './backup-schedule.js';

/** Copies of the database: for who asks, and on a schedule. */
@Module({
  imports: [StorageModule],
  providers: [BackupSchedule],
  controllers: [BackupController],
  exports: [BackupSchedule],
})
export class BackupModule {}
