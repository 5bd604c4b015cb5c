import type { IncomingMessage, ServerResponse } from 'node:http';
import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import { answerFile, redirect } from '../http/answer/answer.js';
import { Undocumented } from '../http/answer/documented.js';
import { answerPage } from '../http/answer/page.js';
import { ConsoleFiles } from './console-files.js';
import { consolePage } from './console-page.js';

/** The console's page and files. They have nothing of the database, so that they need no token. */
@Controller()
export class ConsoleController {
  constructor(private readonly files: ConsoleFiles) {}

  @Get('console')
  @Undocumented()
  async page(@Res() response: ServerResponse): Promise<void> {
    const files = await this.files.load();
    answerPage(response, (nonce) => consolePage(files, nonce));
  }

  /** Addresses begin with the hash of all files, so that a browser asks once for each. */
  @Get('console/{*file}')
  @Undocumented()
  async file(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const path = request.url!.split('?', 1)[0]!.slice('/console/'.length);
    if (path === '') return redirect(response, '../console');
    const { version, files } = await this.files.load();
    const file = path.startsWith(`${version}/`) ? files.get(path.slice(version.length + 1)) : undefined;
    if (file === undefined) throw new NotFoundException();
    answerFile(response, file.type, file.bytes, file.gzipped);
  }
}
