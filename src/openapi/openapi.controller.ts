import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BUILT } from '../built-files.js';
import { answerJsonPieces, ASSET_HEADERS, redirect } from '../http/answer/answer.js';
import { Undocumented } from '../http/answer/documented.js';
import { answerPage } from '../http/answer/page.js';
import { ApiDocument } from './api-document.js';
import { explorerPage } from './explorer-page.js';

/** The build copies Swagger UI there (nest-cli.json). */
const SWAGGER_UI = new URL('openapi/swagger-ui-dist/', BUILT);
const ASSETS: Record<string, string> = {
  '/docs/swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  '/docs/swagger-ui.css': 'text/css; charset=utf-8',
};

/** The OpenAPI document and its explorer, whose scripts and styles come from this server. */
@Controller()
export class OpenApiController {
  constructor(private readonly document: ApiDocument) {}

  @Get('openapi.json')
  @Undocumented()
  async openApi(@Res() response: ServerResponse): Promise<void> {
    await answerJsonPieces(response, [await this.document.json()]);
  }

  @Get('docs')
  @Undocumented()
  explorer(@Res() response: ServerResponse): void {
    answerPage(response, explorerPage);
  }

  @Get('docs/{*file}')
  @Undocumented()
  async asset(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const path = request.url!.split('?', 1)[0]!;
    if (path === '/docs/') return redirect(response, '../docs');
    const type = ASSETS[path];
    if (type === undefined) throw new NotFoundException();
    response.writeHead(200, [...ASSET_HEADERS, 'Content-Type', type]);
    if (request.method === 'HEAD') response.end();
    else await pipeline(createReadStream(new URL(path.slice('/docs/'.length), SWAGGER_UI)), response);
  }
}
