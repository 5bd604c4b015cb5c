import { Controller, Get, Res } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { answerAsset } from './answer.js';
import { Undocumented } from './documented.js';

/** Four pigeonholes, one of them taken. */
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#56708c" ' +
  'd="M1 1h6v6H1zM9 1h6v6H9zM1 9h6v6H1z"/><path fill="#e0902b" d="M9 9h6v6H9z"/></svg>';

/** The icon that browsers ask for by themselves. */
@Controller('favicon.ico')
export class FaviconController {
  @Get()
  @Undocumented()
  icon(@Res() response: ServerResponse): void {
    answerAsset(response, 'image/svg+xml', ICON);
  }
}
