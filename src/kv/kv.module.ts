import { Module } from '@nestjs/common';
import { StorageModule } from '../storage/storage.module.js';
import { DatabaseService } from './database.service.js';
import { KvController } from './kv.controller.js';

/** The product: keys and values over HTTP. */
@Module({
  imports: [StorageModule],
  providers: [DatabaseService],
  controllers: [KvController],
  exports: [DatabaseService],
})
export class KvModule {}
