import { Module } from '@nestjs/common';
import { StorageModule } from '../storage/storage.module.js';
import { HttpModule } from '../http/http.module.js';
import { BatchController } from './batch/batch.controller.js';
import { DatabaseService } from './database.service.js';
import { EntriesController } from './entry/entry.controller.js';
import { EntryEndpoint } from './entry/entry.endpoint.js';
import { Importer } from './transfer/importer.js';
import { KvController } from './kv.controller.js';
import { RangesController } from './range/range.controller.js';
import { WatchEndpoint } from './watch/watch.endpoint.js';
import { WatchHub } from './watch/watch-hub.js';
import { WatchLimit } from './watch/watch-limit.js';

/** The product: keys and values over HTTP. */
@Module({
  imports: [StorageModule, HttpModule],
  providers: [DatabaseService, EntryEndpoint, Importer, WatchHub, WatchLimit, WatchEndpoint],
  controllers: [KvController, EntriesController, RangesController, BatchController],
  exports: [DatabaseService],
})
export class KvModule {}
