import { All, Controller, Delete, Get, Patch, Put, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  DescribeEntryDelete,
  DescribeEntryGet,
  DescribeEntryPatch,
  DescribeEntryPut,
} from './entries.openapi.js';
import { EntryEndpoint } from './entry.endpoint.js';
import { checkKey, keyOfPath } from './key.js';
import { Parameters } from './parameters.js';
import { wantsEvents, WatchEndpoint } from './watch.endpoint.js';

/** `/kv/{key}`: one entry. The key is everything behind `/kv/`, slashes included; nothing behind it is no key. */
@Controller()
export class EntriesController {
  constructor(
    private readonly entry: EntryEndpoint,
    private readonly watch: WatchEndpoint,
  ) {}

  /**
   * Reads one entry
   * @throws {400} The key is not one, or a condition is malformed.
   * @throws {404} The key is not in the database, or its time has run out.
   * @throws {412} If-Match or If-Unmodified-Since does not hold.
   * @throws {416} The value has no byte in the Range.
   */
  @Get('kv/{*key}')
  @DescribeEntryGet()
  get(@Req() request: IncomingMessage, @Res() response: ServerResponse): void | Promise<void> {
    const key = keyOfPath(request.url!);
    if (wantsEvents(request)) {
      checkKey(key);
      return this.watch.stream(request, response, { key }, this.parameters(request, ['since']).get('since'));
    }
    this.parameters(request, []);
    return this.entry.get(request, response, key);
  }

  /**
   * Stores one entry
   * @remarks Without `ttl` it stays for ever, whatever it was before. JSON is checked and kept as its own bytes.
   * @throws {400} The key, the Content-Type, `ttl` or a condition is malformed, or the value is no JSON but says so.
   * @throws {412} A condition does not hold; `etag` is the tag of the entry as it is.
   * @throws {413} The value is larger than MAX_VALUE_BYTES.
   */
  @Put('kv/{*key}')
  @DescribeEntryPut()
  put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.put(request, response, keyOfPath(request.url!), this.parameters(request, ['ttl']));
  }

  /**
   * Counts, edits JSON, or changes when an entry ends
   * @remarks Either `incr` (then `ttl` is for a counter that is new), or `ttl` alone, or a merge patch as the body.
   * Each is one atomic step. A patched value is compact JSON with every digit of its numbers.
   * @throws {400} It is none of the three or more than one, or one of its parts is malformed.
   * @throws {404} The key is not in the database; `incr` would have made it.
   * @throws {409} The value is no integer, the sum no 64-bit one, or the value to patch no JSON.
   * @throws {412} A condition does not hold; `etag` is the tag of the entry as it is.
   * @throws {413} The patch, or what it makes of the value, is larger than MAX_VALUE_BYTES.
   */
  @Patch('kv/{*key}')
  @DescribeEntryPatch()
  patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    return this.entry.patch(
      request,
      response,
      keyOfPath(request.url!),
      this.parameters(request, ['incr', 'ttl']),
    );
  }

  /**
   * Deletes one entry
   * @remarks A key that is not there is as good as deleted, so it is safe to repeat.
   * @throws {400} The key is not one, or a condition is malformed.
   * @throws {412} A condition does not hold; `etag` is the tag of the entry as it is.
   */
  @Delete('kv/{*key}')
  @DescribeEntryDelete()
  delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    this.parameters(request, []);
    return this.entry.delete(request, response, keyOfPath(request.url!));
  }

  @All('kv/{*key}')
  @ApiExcludeEndpoint()
  otherMethod(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    this.entry.otherMethod(request, response);
  }

  private parameters(request: IncomingMessage, known: readonly string[]): Parameters {
    return new Parameters(request.url!, known);
  }
}
