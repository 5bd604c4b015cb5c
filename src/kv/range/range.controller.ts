import { All, Controller, Delete, Get, Head, Patch, Post, Put, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import {
  answerEmpty,
  answerJson,
  answerOptions,
  refuseMethod,
  startText,
  vary,
} from '../../http/answer/answer.js';
import { Documented, Undocumented } from '../../http/answer/documented.js';
import { acceptsNdjson } from '../../http/request/accept.js';
import { DatabaseService } from '../database.service.js';
import { EntryEndpoint } from '../entry/entry.endpoint.js';
import { checkKey } from '../key.js';
import { Importer } from '../transfer/importer.js';
import { exportRange, NDJSON } from '../transfer/exporter.js';
import { Parameters } from '../../http/request/parameters.js';
import { conditionOf, refuseConditions } from '../../http/request/preconditions.js';
import { Page, PAGE_PARAMETERS, pageQuery } from './range-page.js';
import { wantsEvents, waitOf, WatchEndpoint } from '../watch/watch.endpoint.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./range.openapi.js');

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

  /** Counts a range. */
  @Head()
  @Documented(docs, 'DescribeCount')
  async head(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (Parameters.names(request.url!, 'key'))
      return this.entry.get(request, response, keyOf(request, []).key);
    if (!acceptsNdjson(request.headers.accept)) return this.answerPage(request, response);
    const { prefix } = prefixOf(request, ['prefix']);
    startText(response, NDJSON, [...vary(response), ...(await this.countHeader(prefix))]);
    response.end();
  }

  /** Lists or exports a range, or reads one entry. */
  @Get()
  @Documented(docs, 'DescribePage')
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

  /** Imports entries. */
  @Post()
  @Documented(docs, 'DescribeImport')
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

  /** Stores one entry, its key in the query. */
  @Put()
  @Documented(docs, 'DescribeTwinPut')
  put(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { key, parameters } = keyOf(request, ['ttl']);
    return this.entry.put(request, response, key, parameters);
  }

  /** Counts, edits JSON, or changes when an entry ends, its key in the query. */
  @Patch()
  @Documented(docs, 'DescribeTwinPatch')
  patch(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const { key, parameters } = keyOf(request, ['incr', 'ttl']);
    return this.entry.patch(request, response, key, parameters);
  }

  /** Deletes a range, or one entry. */
  @Delete()
  @Documented(docs, 'DescribeRangeDelete')
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
  @Undocumented()
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
