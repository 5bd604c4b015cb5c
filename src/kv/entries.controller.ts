import { All, Controller, Delete, Get, Patch, Put, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuseMethod } from '../http/answer.js';
import { EntryEndpoint } from './entry.endpoint.js';
import { keyOfPath } from './key.js';
import { Parameters } from './parameters.js';
import { wantsEvents, WatchEndpoint } from './watch.endpoint.js';

/** `/kv/{key}`: one entry. The key is everything behind `/kv/`, slashes included; nothing behind it is no key. */
@Controller()
export class EntriesController {
  constructor(
    private readonly entry: EntryEndpoint,
    private readonly watch: WatchEndpoint,
  ) {}

  @Get('kv/{*key}')
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void | Promise<void> {
    const key = keyOfPath(request.url!);
    if (wantsEvents(request)) {
      return this.watch.stream(request, response, { key }, this.parameters(request, ['since']).get('since'));
    }
    this.parameters(request, []);
    return this.entry.get(request, response, key);
  }

  @Put('kv/{*key}')
  put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.put(request, response, keyOfPath(request.url!), this.parameters(request, ['ttl']));
  }

  @Patch('kv/{*key}')
  patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.patch(
      request,
      response,
      keyOfPath(request.url!),
      this.parameters(request, ['incr', 'ttl']),
    );
  }

  @Delete('kv/{*key}')
  delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    this.parameters(request, []);
    return this.entry.delete(request, response, keyOfPath(request.url!));
  }

  @All('kv/{*key}')
  @ApiExcludeEndpoint()
  otherMethod(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    if (request.method === 'OPTIONS') this.entry.options(response);
    else refuseMethod(request, response, EntryEndpoint.allow);
  }

  private parameters(request: IncomingMessage, known: readonly string[]): Parameters {
    return new Parameters(request.url!, known);
  }
}
