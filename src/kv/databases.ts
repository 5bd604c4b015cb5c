import { Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { Access } from '../auth/access.js';
import { AppConfig } from '../config/app-config.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { DatabaseService } from './database.service.js';

/** The database that each request sees: all of it, or the namespace of its token. */
@Injectable()
export class Databases {
  private readonly whole: DatabaseService;
  private readonly ofAccess = new WeakMap<Access, DatabaseService>();

  constructor(
    engine: StorageEngine,
    private readonly config: AppConfig,
  ) {
    this.whole = new DatabaseService(engine, config);
  }

  of({ access }: IncomingMessage): DatabaseService {
    if (access === undefined) return this.whole;
    let database = this.ofAccess.get(access);
    if (!database) {
      database = new DatabaseService(access.engine, this.config, access.record.requireConditions);
      this.ofAccess.set(access, database);
    }
    return database;
  }
}
