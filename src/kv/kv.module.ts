import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { HttpModule } from '../http/http.module.js';
import { BatchController } from './batch/batch.controller.js';
import { Databases } from './databases.js';
import { EntryController } from './entry/entry.controller.js';
import { PastEndpoint } from './entry/past.endpoint.js';
import { ImportController } from './transfer/import.controller.js';
import { Importer } from './transfer/importer.js';
import { KvController } from './kv.controller.js';
import { RangeController } from './range/range.controller.js';
import { WatchEndpoint } from './watch/watch.endpoint.js';
import { WatchHub } from './watch/watch-hub.js';
import { WatchLimit } from './watch/watch-limit.js';

/** The product: keys and values over HTTP. */
@Module({
  imports: [StorageModule, HttpModule, AuthModule],
  providers: [Databases, Importer, WatchHub, WatchLimit, WatchEndpoint, PastEndpoint],
  controllers: [KvController, EntryController, RangeController, ImportController, BatchController],
  exports: [Databases],
})
export class KvModule {}
