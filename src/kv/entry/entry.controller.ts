import { All, Controller, Delete, Get, Patch, Put, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Documented, Undocumented } from '../../http/answer/documented.js';
import { EntryEndpoint } from './entry.endpoint.js';
import { checkKey, keyOfPath } from '../key.js';
import { Parameters } from '../../http/request/parameters.js';
import { wantsEvents, WatchEndpoint } from '../watch/watch.endpoint.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./entry.openapi.js');

/** `/kv/{key}`: one entry. The key is everything behind `/kv/`, slashes included; nothing behind it is no key. */
@Controller()
export class EntriesController {
  constructor(
    private readonly entry: EntryEndpoint,
    private readonly watch: WatchEndpoint,
  ) {}

  /** Reads one entry. */
  @Get('kv/{*key}')
  @Documented(docs, 'DescribeEntryGet')
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void | Promise<void> {
    const key = keyOfPath(request.url!);
    if (wantsEvents(request)) {
      checkKey(key);
      return this.watch.stream(request, response, { key }, this.parameters(request, ['since']).get('since'));
    }
    this.parameters(request, []);
    return this.entry.get(request, response, key);
  }

  /** Stores one entry. */
  @Put('kv/{*key}')
  @Documented(docs, 'DescribeEntryPut')
  put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.put(request, response, keyOfPath(request.url!), this.parameters(request, ['ttl']));
  }

  /** Counts, edits JSON, or changes when an entry ends. */
  @Patch('kv/{*key}')
  @Documented(docs, 'DescribeEntryPatch')
  patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.patch(
      request,
      response,
      keyOfPath(request.url!),
      this.parameters(request, ['incr', 'ttl']),
    );
  }

  /** Deletes one entry. */
  @Delete('kv/{*key}')
  @Documented(docs, 'DescribeEntryDelete')
  delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    this.parameters(request, []);
    return this.entry.delete(request, response, keyOfPath(request.url!));
  }

  @All('kv/{*key}')
  @Undocumented()
  otherMethod(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    this.entry.otherMethod(request, response);
  }

  private parameters(request: IncomingMessage, known: readonly string[]): Parameters {
    return new Parameters(request.url!, known);
  }
}
