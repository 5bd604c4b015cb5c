import { All, Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.js';
import { answerJson, answerOptions, refuseMethod } from './answer.js';
import { STATUS_OF } from './error-status.js';
import { Documented, Undocumented } from './documented.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./problems.openapi.js');

const PREFIX = '/problems/';
const ALLOW = 'GET, HEAD, OPTIONS';

/** What the `type` of a problem points to: its row of the table of errors. */
@Controller('problems')
export class ProblemsController {
  /** Explains an error. */
  @Get(':code')
  @Documented(docs, 'DescribeProblem')
  show(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    const code = codeOf(request);
    const [title, meaning] = ERRORS[code];
    answerJson(response, 200, JSON.stringify({ code, title, status: STATUS_OF[code], meaning }));
  }

  @All(':code')
  @Undocumented()
  otherMethod(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    codeOf(request);
    if (request.method === 'OPTIONS') answerOptions(response, ALLOW);
    else refuseMethod(request, response, ALLOW);
  }
}

function codeOf(request: IncomingMessage): ErrorCode {
  const code = request.url!.slice(PREFIX.length).split('?', 1)[0]!;
  if (!Object.hasOwn(ERRORS, code)) throw new NotFoundException();
  return code as ErrorCode;
}
