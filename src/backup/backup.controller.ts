import { Controller, Get, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../errors.js';
import { startDownload } from '../http/answer/answer.js';
import { Documented } from '../http/answer/documented.js';
import { Parameters } from '../http/request/parameters.js';
import { refuseConditions } from '../http/request/preconditions.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { backupName } from './backup-name.js';
import { sendFile } from './send-file.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./backup.openapi.js');

/** `/backup`: a copy of the whole database. */
@Controller('backup')
export class BackupController {
  constructor(private readonly engine: StorageEngine) {}

  /** Makes a copy and sends it. HEAD makes none. */
  @Get()
  @Documented(docs, 'DescribeBackup')
  async backup(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    new Parameters(request.url!, []);
    refuseConditions(request, 'Every backup is another one.');
    refuseNamespace(request);
    if (request.method === 'HEAD' && this.engine.capabilities.backup) {
      startDownload(response, backupName(Date.now()));
      return void response.end();
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort(new DatabaseError('unavailable', 'The client has gone.')));
    const copy = await this.engine.backup(undefined, gone.signal);
    try {
      const { made, bytes, sha256 } = copy;
      startDownload(response, backupName(made), [
        'Content-Length',
        String(bytes),
        'Repr-Digest',
        `sha-256=:${sha256}:`,
      ]);
      await sendFile(response, copy);
    } finally {
      copy.release();
    }
  }
}

/** A namespace is a part of the database, and a backup has all of it. @throws DatabaseError `forbidden` */
function refuseNamespace({ access }: IncomingMessage): void {
  if (!access || access.record.namespace === '') return;
  const detail =
    'A backup has the whole database, and the token is for a namespace of it. An export has that.';
  throw new DatabaseError('forbidden', detail, { right: 'admin' });
}
