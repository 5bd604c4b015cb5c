import { Controller, Get, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../errors.js';
import { answerUncached } from '../http/answer/answer.js';
import { Documented } from '../http/answer/documented.js';
import { Parameters } from '../http/request/parameters.js';
import { Collector } from './collector.js';
import { StatsReport } from './stats.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./metrics.openapi.js');

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** `/metrics` and `/stats`: how the server is doing, for Prometheus and for the console. */
@Controller()
export class MetricsController {
  constructor(
    private readonly collector: Collector,
    private readonly stats: StatsReport,
  ) {}

  /** Shows every figure in the text format of Prometheus. */
  @Get('metrics')
  @Documented(docs, 'DescribeMetrics')
  async metrics(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if ((request.access?.record.namespace ?? '') !== '') throw ofTheWhole();
    const collected = await this.collector.collect();
    answerUncached(response, 200, await collected.text(), undefined, TEXT);
  }

  /** Tells how the server is doing. */
  @Get('stats')
  @Documented(docs, 'DescribeStats')
  async describe(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    void new Parameters(request.url!, []);
    const stats = await this.stats.of(request.access);
    answerUncached(response, 200, `${JSON.stringify(stats)}\n`);
  }
}

function ofTheWhole(): DatabaseError {
  const detail =
    'The metrics are of the whole database, and the token has a namespace. `/stats` shows what concerns it.';
  return new DatabaseError('forbidden', detail);
}
