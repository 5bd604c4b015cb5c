import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from '../auth/access.js';
import { AppConfig } from '../config/app-config.js';
import { fingerprintOf, idempotencyKeyOf, sha256 } from '../http/request/idempotency-key.js';
import { inTurns } from '../http/request/turns.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { DatabaseService } from './database.service.js';
import { timestamp } from './entry-json.js';
import { isEntryPath, keyOfPath, pathOf } from './key.js';

const NOTHING: Buffer = Buffer.alloc(0);

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

  /** Returns the same for the one write of a request with an Idempotency-Key, which is done once; the answer says so. */
  async once(request: IncomingMessage, response: ServerResponse, body = NOTHING): Promise<DatabaseService> {
    const id = sha256([request.access?.id ?? '', idempotencyKeyOf(request)]);
    const fingerprint = await inTurns(fingerprintOf(request, targetOf(request.url!), body));
    return this.of(request).doing({ id, fingerprint }, ({ expires, isReplay }) => {
      // The answer has them also when it is a refusal.
      response.setHeader('Idempotency-Expires', timestamp(expires));
      if (isReplay) response.setHeader('Idempotency-Replayed', 'true');
    });
  }
}

/** Returns one text for all spellings of an entry's key, with the query as it was sent. */
function targetOf(url: string): string {
  if (!isEntryPath(url)) return url;
  const query = url.indexOf('?');
  return `${pathOf(keyOfPath(url))}${query < 0 ? '' : url.slice(query)}`;
}
