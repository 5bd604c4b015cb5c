import { Controller, Delete, Get, Head, Patch, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppConfig } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';
import {
  answerEmpty,
  answerJson,
  answerJsonPieces,
  hasBody,
  startText,
  vary,
} from '../../http/answer/answer.js';
import { Documented } from '../../http/answer/documented.js';
import { makeLarge } from '../../http/answer/large-answers.js';
import { countUnsent, forgetUnsent, refuseIfFull } from '../../http/answer/unsent-answers.js';
import { JSON_DOCUMENT, NDJSON_NAMES, prefers } from '../../http/request/accept.js';
import { BodyReader } from '../../http/request/body-reader.js';
import { refuseIdempotencyKey } from '../../http/request/idempotency-key.js';
import { prefersLenient } from '../../http/request/prefer.js';
import { Parameters } from '../../http/request/parameters.js';
import { conditionOf, refuseConditions } from '../../http/request/preconditions.js';
import type { KeyRange } from '../../storage/key-range.js';
import type { RangeCount, WatchTarget } from '../../storage/storage-engine.js';
import type { DatabaseService } from '../database.service.js';
import { Databases } from '../databases.js';
import { checkKey } from '../key.js';
import { momentIn } from '../past/moment-name.js';
import { Restore } from '../past/restore.js';
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

/** What one watch may name. */
const MAX_TARGETS = 100;

/** `/kv`: many entries, as pages, counts, exports and prefix deletes. */
@Controller('kv')
export class RangeController {
  constructor(
    private readonly databases: Databases,
    private readonly bodies: BodyReader,
    private readonly watch: WatchEndpoint,
    private readonly config: AppConfig,
  ) {}

  /** Counts a range. */
  @Head()
  @Documented(docs, 'DescribeCount')
  async head(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (!wantsLines(request)) return this.answerPage(request, response);
    const range = rangeIn(readParameters(request, RANGE_PARAMETERS));
    const database = this.databases.of(request);
    startText(response, NDJSON, [...vary(response), ...countHeaders(database, await database.count(range))]);
    response.end();
  }

  /** Lists, exports or watches a range. */
  @Get()
  @Documented(docs, 'DescribePage')
  async get(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    if (wantsEvents(request, JSON_DOCUMENT)) {
      const parameters = watchParameters(request, ['prefix', 'key']);
      return this.watch.stream(request, response, targetsIn(parameters), parameters.get('since'));
    }
    if (wantsLines(request)) {
      return this.export(request, response);
    }
    await this.answerPage(request, response);
  }

  private export(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const headers = [...vary(response)];
    const database = this.databases.of(request);
    const range = rangeIn(readParameters(request, RANGE_PARAMETERS));
    const onPosition = (position: string) => void headers.push(...revision(database, { position }));
    if (!prefersLenient(request))
      return exportRange(response, database.scan({ ...range, onPosition }), headers);
    const damaged: string[] = [];
    const onDamaged = (key: string) => void damaged.push(key);
    headers.push('Preference-Applied', 'handling=lenient');
    return exportRange(response, database.scan({ ...range, onPosition, onDamaged }), headers, damaged);
  }

  /** Deletes a range. */
  @Delete()
  @Documented(docs, 'DescribeRangeDelete')
  async delete(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, [...RANGE_PARAMETERS, 'dry-run', 'confirm']);
    refuseConditions(request, 'Only one entry can be deleted on a condition, with `DELETE /kv/{key}`.');
    refuseIdempotencyKey(request, 'Repeating it is safe: it deletes what is there.');
    const range = rangeIn(parameters);
    const dryRun = parameters.flag('dry-run');
    requireConfirmation(parameters, range, 'delete');
    const database = this.databases.of(request);
    const deleted = dryRun
      ? (await database.count(range)).keys
      : await database.deleteRange(range, () => request.isCut === true);
    answerJson(response, 200, `${JSON.stringify({ deleted })}\n`);
  }

  /** Puts a range back to a moment. */
  @Patch()
  @Documented(docs, 'DescribeRestore')
  async restore(@Req() request: IncomingMessage, @Res() response: ServerResponse): Promise<void> {
    const parameters = new Parameters(request.url!, [...RANGE_PARAMETERS, 'at', 'dry-run', 'confirm']);
    refuseConditions(request, 'Only one entry can be put back on a condition, with `PUT /kv/{key}?from=`.');
    refuseIdempotencyKey(request, 'Repeating it is safe: it changes what is not yet as it was.');
    const at = parameters.get('at');
    if (at === undefined)
      throw new DatabaseError(
        'invalid-parameter',
        'A PATCH of a range needs `at`, the moment to go back to.',
      );
    const range = rangeIn(parameters);
    requireConfirmation(parameters, range, 'change');
    if (hasBody(request))
      await this.bodies.readNone(
        request,
        response,
        new DatabaseError('invalid-parameter', 'A PATCH of a range takes no body.'),
      );
    const database = this.databases.of(request);
    const moment = await momentIn(database.past, 'at', at);
    const isCut = () => request.isCut === true;
    const restored = await new Restore(database, moment, parameters.flag('dry-run'), isCut).run(range);
    answerJson(response, 200, `${JSON.stringify(restored)}\n`);
  }

  private async answerPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = readParameters(request, PAGE_PARAMETERS);
    const query = pageQuery(parameters);
    const condition = conditionOf(request);
    const database = this.databases.of(request);
    const make = async () => {
      if (query.values) refuseIfFull(response);
      const page = await database.range(query);
      const count = (bytes: number) => countUnsent(response, bytes);
      return Page.of(page, query.values, database.hasOneOrder, count);
    };
    const read = async () => {
      const page = query.values ? await makeLarge(make) : await make();
      // It may be waited for a newer one.
      forgetUnsent(response);
      return page;
    };
    const isKnown = (page: Page) => page.isKnown(condition);
    const wait = waitOf(request);
    const page =
      wait === undefined ? await read() : await this.watch.hold(response, query, wait, read, isKnown);
    page.require(condition);
    const headers = [
      'ETag',
      `"${page.etag}"`,
      ...vary(response),
      ...page.link(parameters, this.config.publicUrl),
    ];
    if (request.method === 'HEAD') {
      headers.push(...countHeaders(database, await database.count(query)));
    } else {
      headers.push(...revision(database, page));
      if (query.counted) headers.push('KV-Count', String((await database.count(query)).keys));
    }
    if (isKnown(page)) answerEmpty(response, 304, headers);
    else await answerJsonPieces(response, page.json, headers);
  }
}

/** Checks that what can change every key is meant. @throws DatabaseError `confirmation-needed`, `invalid-parameter` */
function requireConfirmation(parameters: Parameters, { prefix }: KeyRange, verb: string): void {
  const confirm = parameters.get('confirm');
  if (confirm !== undefined && confirm !== 'all')
    throw new DatabaseError('invalid-parameter', '`confirm` can only be `all`.');
  if (prefix !== '' || parameters.flag('dry-run') || confirm === 'all') return;
  const detail = `Without a prefix this can ${verb} every key, \`from\` and \`to\` apart: add \`confirm=all\`.`;
  throw new DatabaseError('confirmation-needed', detail);
}

function countHeaders(database: DatabaseService, count: RangeCount): string[] {
  return ['KV-Count', String(count.keys), ...revision(database, count)];
}

/** Returns the header that says which state an answer shows, after which a watch can go on. */
function revision(
  { hasOneOrder }: DatabaseService,
  shown: { readonly position: string | undefined },
): string[] {
  return hasOneOrder ? ['KV-Revision', shown.position!] : [];
}

/** Returns what a watch follows: everything if nothing is named. @throws DatabaseError `invalid-parameter`, `invalid-key` */
function targetsIn(parameters: Parameters): WatchTarget[] {
  const prefixes = parameters.keyTexts('prefix');
  const keys = parameters.all('key');
  const count = prefixes.length + keys.length;
  if (count > MAX_TARGETS) {
    const detail = `A watch takes at most ${MAX_TARGETS} \`prefix\` and \`key\` in all; this one has ${count}.`;
    throw new DatabaseError('invalid-parameter', detail, { limit: MAX_TARGETS });
  }
  for (const key of keys) checkKey(key);
  return count === 0
    ? [{ prefix: '' }]
    : [...prefixes.map((prefix) => ({ prefix })), ...keys.map((key) => ({ key }))];
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
