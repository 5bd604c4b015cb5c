import { Controller, Post, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerJson } from '../../http/answer/answer.js';
import { Documented } from '../../http/answer/documented.js';
import { refuseIdempotencyKey } from '../../http/request/idempotency-key.js';
import { Parameters } from '../../http/request/parameters.js';
import { refuseConditions } from '../../http/request/preconditions.js';
import { Importer } from './importer.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./import.openapi.js');

/** `POST /kv`: many entries in. */
@Controller('kv')
export class ImportController {
  constructor(private readonly importer: Importer) {}

  /** Imports entries. */
  @Post()
  @Documented(docs, 'DescribeImport')
  async import(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, ['mode', 'dry-run']);
    refuseConditions(request, 'An import writes line by line; `mode=create` leaves what exists.');
    refuseIdempotencyKey(request, 'Repeating an import is safe: it stores the same lines again.');
    const mode = parameters.get('mode') ?? 'upsert';
    if (mode !== 'upsert' && mode !== 'create')
      throw new DatabaseError('invalid-parameter', '`mode` must be `upsert` or `create`.');
    const report = await this.importer.run(request, response, mode, parameters.flag('dry-run'));
    answerJson(response, 200, `${JSON.stringify(report)}\n`);
  }
}
