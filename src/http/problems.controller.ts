import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, type ErrorCode } from '../errors.js';
import { answerJson } from './answer.js';
import { STATUS_OF } from './status-of.js';

const PREFIX = '/problems/';

/** What the `type` of a problem points to: its row of the table of errors. */
@Controller('problems')
export class ProblemsController {
  @Get(':code')
  show(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    const code = request.url!.slice(PREFIX.length).split('?', 1)[0]!;
    if (!Object.hasOwn(ERRORS, code)) throw new NotFoundException();
    const [title, meaning] = ERRORS[code as ErrorCode];
    answerJson(response, 200, JSON.stringify({ code, title, status: STATUS_OF[code as ErrorCode], meaning }));
  }
}
