import { All, Controller, Delete, Get, Head, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../errors.js';
import { answerEmpty, answerJson, answerOptions, refuseMethod, startText, vary } from '../http/answer.js';
import { acceptsNdjson } from './accept.js';
import { DatabaseService } from './database.service.js';
import { EntryEndpoint } from './entry.endpoint.js';
import { checkKey } from './key.js';
import { Importer } from './importer.js';
import { exportRange, NDJSON } from './ndjson.js';
import { Parameters } from './parameters.js';
import { conditionOf, refuseConditions } from './preconditions.js';
import { Page, PAGE_PARAMETERS, pageQuery } from './range-page.js';
import { wantsEvents, waitOf, WatchEndpoint } from './watch.endpoint.js';
import {
  DescribeCount,
  DescribeImport,
  DescribePage,
  DescribeRangeDelete,
  DescribeTwinPatch,
  DescribeTwinPut,
} from './ranges.openapi.js';

const ALLOW = 'GET, HEAD, POST, DELETE, OPTIONS';

/**
 * `/kv`: many entries, as pages, exports and imports; or, with `?key=`, the twin spelling of one entry, which also takes
 * the keys that a path cannot carry.
 */
@Controller('kv')
export class RangesController {
  constructor(
    private readonly database: DatabaseService,
    private readonly entry: EntryEndpoint,
    private readonly importer: Importer,
    private readonly watch: WatchEndpoint,
  ) {}

  /**
   * Counts a range
   * @remarks The headers of GET, and KV-Count.
   * @throws {400} A parameter or a condition is malformed.
   * @throws {404} The `key` is not in the database.
   * @throws {412} If-Match does not hold, or, with `key`, If-Unmodified-Since.
   */
  @Head()
  @DescribeCount()
  async head(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (Parameters.names(request.url!, 'key'))
      return this.entry.get(request, response, keyOf(request, []).key);
    if (!acceptsNdjson(request.headers.accept)) return this.answerPage(request, response);
    const { prefix } = prefixOf(request, ['prefix']);
    startText(response, NDJSON, [...vary(response), ...(await this.countHeader(prefix))]);
    response.end();
  }

  /**
   * Lists or exports a range, or reads one entry
   * @remarks With `key` it is `GET /kv/{key}`, for every key, `.` and `..` too. A range is in the order of the keys' bytes. With `Accept: application/x-ndjson` the whole range is streamed from one
   * snapshot, one entry a line; its last line has the SHA-256 of those before.
   * @throws {400} A parameter or a condition is malformed.
   * @throws {404} The `key` is not in the database.
   * @throws {412} If-Match does not hold, or, with `key`, If-Unmodified-Since.
   * @throws {416} With `key`: the value has no byte in the Range.
   */
  @Get()
  @DescribePage()
  async get(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (wantsEvents(request)) return this.follow(request, response);
    if (Parameters.names(request.url!, 'key'))
      return this.entry.get(request, response, keyOf(request, []).key);
    if (acceptsNdjson(request.headers.accept)) {
      const { prefix } = prefixOf(request, ['prefix']);
      return exportRange(response, this.database.scan(prefix), vary(response));
    }
    await this.answerPage(request, response);
  }

  /**
   * Imports entries
   * @remarks Takes what an export gives, as a stream; each line is one write, and what came before a failure stays. A dry
   * run counts a new key once for each line that has it. Without the closing line the answer is 200 with `end` false.
   * @throws {400} A parameter is malformed, or the import is cut off; its counts say how far it came.
   */
  @Post()
  @DescribeImport()
  async import(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (Parameters.names(request.url!, 'key')) return this.entry.otherMethod(request, response);
    const parameters = new Parameters(request.url!, ['mode', 'dry-run']);
    refuseConditions(request, 'An import writes line by line; `mode=create` leaves what exists.');
    const mode = parameters.get('mode') ?? 'upsert';
    if (mode !== 'upsert' && mode !== 'create') {
      throw new DatabaseError('invalid-parameter', '`mode` must be `upsert` or `create`.');
    }
    const report = await this.importer.run(request, response, mode, parameters.flag('dry-run'));
    answerJson(response, 200, JSON.stringify(report));
  }

  /**
   * Stores one entry, its key in the query
   * @remarks As `PUT /kv/{key}`, for every key, `.` and `..` too.
   * @throws {400} As there.
   * @throws {412} As there.
   * @throws {413} As there.
   */
  @Put()
  @DescribeTwinPut()
  put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { key, parameters } = keyOf(request, ['ttl']);
    return this.entry.put(request, response, key, parameters);
  }

  /**
   * Counts, edits JSON, or changes when an entry ends, its key in the query
   * @remarks As `PATCH /kv/{key}`, for every key, `.` and `..` too.
   * @throws {400} As there.
   * @throws {404} As there.
   * @throws {409} As there.
   * @throws {412} As there.
   * @throws {413} As there.
   */
  @Patch()
  @DescribeTwinPatch()
  patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { key, parameters } = keyOf(request, ['incr', 'ttl']);
    return this.entry.patch(request, response, key, parameters);
  }

  /**
   * Deletes a range, or one entry
   * @remarks It takes the keys that exist when it begins; repeat it if it breaks off.
   * @throws {400} A parameter or a condition is malformed, or deleting every key is not confirmed.
   * @throws {412} With `key`: a condition does not hold.
   */
  @Delete()
  @DescribeRangeDelete()
  async delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (Parameters.names(request.url!, 'key'))
      return this.entry.delete(request, response, keyOf(request, []).key);
    const { prefix, parameters } = prefixOf(request, ['prefix', 'dry-run', 'confirm']);
    refuseConditions(request, 'Only one entry can be deleted on a condition, with `DELETE /kv/{key}`.');
    const confirm = parameters.get('confirm');
    if (confirm !== undefined && confirm !== 'all') {
      throw new DatabaseError('invalid-parameter', '`confirm` can only be `all`.');
    }
    const dryRun = parameters.flag('dry-run');
    if (prefix === '' && !dryRun && confirm !== 'all') {
      throw new DatabaseError(
        'confirmation-needed',
        'Without a prefix this deletes every key: add `confirm=all`.',
      );
    }
    const deleted = dryRun ? await this.database.count(prefix) : await this.database.deleteRange(prefix);
    answerJson(response, 200, JSON.stringify({ deleted }));
  }

  @All()
  @ApiExcludeEndpoint()
  otherMethod(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    if (Parameters.names(request.url!, 'key')) this.entry.otherMethod(request, response);
    else if (request.method === 'OPTIONS') answerOptions(response, ALLOW);
    else refuseMethod(request, response, ALLOW);
  }

  private follow(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const one = Parameters.names(request.url!, 'key');
    const { key, parameters } = one
      ? keyOf(request, ['since'])
      : { key: '', ...prefixOf(request, ['prefix', 'since']) };
    const target = one ? { key } : { prefix: parameters.keyText('prefix') ?? '' };
    return this.watch.stream(request, response, target, parameters.get('since'));
  }

  private async answerPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, PAGE_PARAMETERS);
    const query = pageQuery(parameters);
    const condition = conditionOf(request.headers);
    const look = async () => new Page(await this.database.range(query), query.values);
    const isKnown = (page: Page) => page.isKnown(condition);
    const wait = waitOf(request);
    const page =
      wait === undefined ? await look() : await this.watch.hold(response, query, wait, look, isKnown);
    page.require(condition);
    const headers = ['ETag', `"${page.etag}"`, ...vary(response), ...page.link(parameters)];
    if (query.counted || request.method === 'HEAD') headers.push(...(await this.countHeader(query.prefix)));
    if (isKnown(page)) answerEmpty(response, 304, headers);
    else answerJson(response, 200, page.json, headers);
  }

  private async countHeader(prefix: string): Promise<string[]> {
    return ['KV-Count', String(await this.database.count(prefix))];
  }
}

/** The key of `?key=` and what stands beside it. */
function keyOf(request: IncomingMessage, known: readonly string[]): { key: string; parameters: Parameters } {
  if (Parameters.names(request.url!, 'key') && Parameters.names(request.url!, 'prefix')) {
    throw new DatabaseError(
      'invalid-parameter',
      '`key` names one entry and `prefix` a range: give only one of the two.',
    );
  }
  const parameters = new Parameters(request.url!, ['key', ...known]);
  const key = parameters.get('key');
  if (key === undefined) {
    throw new DatabaseError(
      'invalid-parameter',
      `${request.method} is for one entry: name it, as in \`/kv/{key}\` or \`/kv?key={key}\`.`,
    );
  }
  checkKey(key);
  return { key, parameters };
}

function prefixOf(
  request: IncomingMessage,
  known: readonly string[],
): { prefix: string; parameters: Parameters } {
  const parameters = new Parameters(request.url!, known);
  return { prefix: parameters.keyText('prefix') ?? '', parameters };
}
