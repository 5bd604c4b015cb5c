import { Module } from '@nestjs/common';
import { StorageModule } from '../storage/storage.module.js';
import { HttpModule } from '../http/http.module.js';
import { BatchController } from './batch.controller.js';
import { DatabaseService } from './database.service.js';
import { EntriesController } from './entries.controller.js';
import { EntryEndpoint } from './entry.endpoint.js';
import { Importer } from './importer.js';
import { KvController } from './kv.controller.js';
import { RangesController } from './ranges.controller.js';
import { WatchEndpoint } from './watch.endpoint.js';
import { WatchHub } from './watch-hub.js';
import { WatchPlaces } from './watch-places.js';

/** The product: keys and values over HTTP. */
@Module({
  imports: [StorageModule, HttpModule],
  providers: [DatabaseService, EntryEndpoint, Importer, WatchHub, WatchPlaces, WatchEndpoint],
  controllers: [KvController, EntriesController, RangesController, BatchController],
  exports: [DatabaseService],
})
export class KvModule {}
