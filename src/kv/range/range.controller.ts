import { Controller, Delete, Get, Head, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { answerEmpty, answerJson, answerJsonPieces, startText, vary } from '../../http/answer/answer.js';
import { Documented } from '../../http/answer/documented.js';
import { acceptsNdjson } from '../../http/request/accept.js';
import { Parameters } from '../../http/request/parameters.js';
import { conditionOf, refuseConditions } from '../../http/request/preconditions.js';
import { prefersLenient } from '../../http/request/prefer.js';
import { DatabaseService } from '../database.service.js';
import { exportRange, NDJSON } from '../transfer/exporter.js';
import { waitOf, wantsEvents, WatchEndpoint } from '../watch/watch.endpoint.js';
import { Page, PAGE_PARAMETERS, pageQuery } from './range-page.js';

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
    if (!acceptsNdjson(request.headers.accept)) return this.answerPage(request, response);
    const prefix = prefixIn(parametersOf(request, ['prefix']));
    startText(response, NDJSON, [...vary(response), ...(await this.countHeader(prefix))]);
    response.end();
  }

  /** Lists, exports or watches a range. */
  @Get()
  @Documented(docs, 'DescribePage')
  async get(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (wantsEvents(request)) {
      const parameters = parametersOf(request, ['prefix', 'since']);
      const target = { prefix: prefixIn(parameters) };
      return this.watch.stream(request, response, target, parameters.get('since'));
    }
    if (acceptsNdjson(request.headers.accept)) {
      return this.export(request, response);
    }
    await this.answerPage(request, response);
  }

  private export(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const prefix = prefixIn(parametersOf(request, ['prefix']));
    if (!prefersLenient(request)) return exportRange(response, this.database.scan(prefix), vary(response));
    const damaged: string[] = [];
    const range = this.database.scan(prefix, (key) => damaged.push(key));
    const headers = [...vary(response), 'Preference-Applied', 'handling=lenient'];
    return exportRange(response, range, headers, damaged);
  }

  /** Deletes a range. */
  @Delete()
  @Documented(docs, 'DescribeRangeDelete')
  async delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = parametersOf(request, ['prefix', 'dry-run', 'confirm']);
    refuseConditions(request, 'Only one entry can be deleted on a condition, with `DELETE /kv/{key}`.');
    const prefix = prefixIn(parameters);
    const dryRun = parameters.flag('dry-run');
    const confirm = parameters.get('confirm');
    if (confirm !== undefined && confirm !== 'all')
      throw new DatabaseError('invalid-parameter', '`confirm` can only be `all`.');
    if (prefix === '' && !dryRun && confirm !== 'all') {
      const detail = 'Without a prefix this deletes every key: add `confirm=all`.';
      throw new DatabaseError('confirmation-needed', detail);
    }
    const deleted = dryRun ? await this.database.count(prefix) : await this.database.deleteRange(prefix);
    answerJson(response, 200, JSON.stringify({ deleted }));
  }

  private async answerPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = parametersOf(request, PAGE_PARAMETERS);
    const query = pageQuery(parameters);
    const condition = conditionOf(request);
    const read = async () => Page.of(await this.database.range(query), query.values);
    const isKnown = (page: Page) => page.isKnown(condition);
    const wait = waitOf(request);
    const page =
      wait === undefined ? await read() : await this.watch.hold(response, query, wait, read, isKnown);
    page.require(condition);
    const headers = ['ETag', `"${page.etag}"`, ...vary(response), ...page.link(parameters)];
    if (query.counted || request.method === 'HEAD') headers.push(...(await this.countHeader(query.prefix)));
    if (isKnown(page)) answerEmpty(response, 304, headers);
    else await answerJsonPieces(response, page.json, headers);
  }

  private async countHeader(prefix: string): Promise<string[]> {
    return ['KV-Count', String(await this.database.count(prefix))];
  }
}

function parametersOf(request: IncomingMessage, known: readonly string[]): Parameters {
  return new Parameters(request.url!, known);
}

function prefixIn(parameters: Parameters): string {
  return parameters.keyText('prefix') ?? '';
}
