import { Controller, Get, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AccessGuard } from '../auth/access-guard.js';
import { answerUncached } from '../http/answer/answer.js';
import { Documented } from '../http/answer/documented.js';
import { Health } from './health.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./health.openapi.js');

const ALIVE = '{"status":"ok"}\n';
/** As for an error with this status. */
const RETRY = ['Retry-After', '1'];

/** `/health`: what load balancers and supervisors ask. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: Health,
    private readonly guard: AccessGuard,
  ) {}

  /** Shows that the event loop turns. Whoever ends a server that does not must not end one whose storage is away. */
  @Get('live')
  @Documented(docs, 'DescribeLive')
  live(@Res() response: ServerResponse): void {
    answerUncached(response, 200, ALIVE);
  }

  /** Tells whether requests can be expected to succeed; why, only to those who may know. */
  @Get('ready')
  @Documented(docs, 'DescribeReady')
  async ready(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const [report, access] = await Promise.all([this.health.report(), this.guard.accessOf(request)]);
    const { status } = report;
    const shown = access?.may('monitor') ? report : { status };
    const isReady = status === 'ok';
    answerUncached(response, isReady ? 200 : 503, `${JSON.stringify(shown)}\n`, isReady ? [] : RETRY);
  }
}
