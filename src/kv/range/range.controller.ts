import { Controller, Delete, Get, Head, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerEmpty, answerJson, answerJsonPieces, startText, vary } from '../../http/answer/answer.js';
import { Documented } from '../../http/answer/documented.js';
import { JSON_DOCUMENT, NDJSON_NAMES, prefers } from '../../http/request/accept.js';
import { prefersLenient } from '../../http/request/prefer.js';
import { Parameters } from '../../http/request/parameters.js';
import { conditionOf, refuseConditions } from '../../http/request/preconditions.js';
import type { KeyRange } from '../../storage/key-range.js';
import { DatabaseService } from '../database.service.js';
import { exportRange, NDJSON } from '../transfer/exporter.js';
import {
  WATCH_PARAMETER,
  waitOf,
  wantsEvents,
  WatchEndpoint,
  watchParameters,
} from '../watch/watch.endpoint.js';
import { Page, PAGE_PARAMETERS, pageQuery, RANGE_PARAMETERS, rangeIn } from './range-page.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./range.openapi.js');

/** `/kv`: many entries, as pages, counts, exports and prefix deletes. */
@Controller('kv')
export class RangeController {
  constructor(
    private readonly database: DatabaseService,
    private readonly watch: WatchEndpoint,
  ) {}

  /** Counts a range. */
  @Head()
  @Documented(docs, 'DescribeCount')
  async head(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (!wantsLines(request)) return this.answerPage(request, response);
    const range = rangeIn(readParameters(request, RANGE_PARAMETERS));
    startText(response, NDJSON, [...vary(response), ...(await this.countHeader(range))]);
    response.end();
  }

  /** Lists, exports or watches a range. */
  @Get()
  @Documented(docs, 'DescribePage')
  async get(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (wantsEvents(request, JSON_DOCUMENT)) {
      const parameters = watchParameters(request, ['prefix']);
      const target = { prefix: parameters.keyText('prefix') ?? '' };
      return this.watch.stream(request, response, target, parameters.get('since'));
    }
    if (wantsLines(request)) {
      return this.export(request, response);
    }
    await this.answerPage(request, response);
  }

  private export(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const range = rangeIn(readParameters(request, RANGE_PARAMETERS));
    if (!prefersLenient(request)) return exportRange(response, this.database.scan(range), vary(response));
    const damaged: string[] = [];
    const scan = this.database.scan(range, (key) => damaged.push(key));
    const headers = [...vary(response), 'Preference-Applied', 'handling=lenient'];
    return exportRange(response, scan, headers, damaged);
  }

  /** Deletes a range. */
  @Delete()
  @Documented(docs, 'DescribeRangeDelete')
  async delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, [...RANGE_PARAMETERS, 'dry-run', 'confirm']);
    refuseConditions(request, 'Only one entry can be deleted on a condition, with `DELETE /kv/{key}`.');
    const range = rangeIn(parameters);
    const dryRun = parameters.flag('dry-run');
    const confirm = parameters.get('confirm');
    if (confirm !== undefined && confirm !== 'all')
      throw new DatabaseError('invalid-parameter', '`confirm` can only be `all`.');
    if (range.prefix === '' && !dryRun && confirm !== 'all') {
      const detail = 'Without a prefix this can delete every key, `from` and `to` apart: add `confirm=all`.';
      throw new DatabaseError('confirmation-needed', detail);
    }
    const deleted = dryRun ? await this.database.count(range) : await this.database.deleteRange(range);
    answerJson(response, 200, JSON.stringify({ deleted }));
  }

  private async answerPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = readParameters(request, PAGE_PARAMETERS);
    const query = pageQuery(parameters);
    const condition = conditionOf(request);
    const read = async () => Page.of(await this.database.range(query), query.values);
    const isKnown = (page: Page) => page.isKnown(condition);
    const wait = waitOf(request);
    const page =
      wait === undefined ? await read() : await this.watch.hold(response, query, wait, read, isKnown);
    page.require(condition);
    const headers = ['ETag', `"${page.etag}"`, ...vary(response), ...page.link(parameters)];
    if (query.counted || request.method === 'HEAD') headers.push(...(await this.countHeader(query)));
    if (isKnown(page)) answerEmpty(response, 304, headers);
    else await answerJsonPieces(response, page.json, headers);
  }

  private async countHeader(range: KeyRange): Promise<string[]> {
    return ['KV-Count', String(await this.database.count(range))];
  }
}

function readParameters(request: IncomingMessage, known: readonly string[]): Parameters {
  const parameters = new Parameters(request.url!, [...known, WATCH_PARAMETER]);
  parameters.flag(WATCH_PARAMETER);
  return parameters;
}

/** Whether the client asks for lines of JSON rather than one document. */
function wantsLines({ headers }: IncomingMessage): boolean {
  return prefers(headers.accept, NDJSON_NAMES, JSON_DOCUMENT);
}
